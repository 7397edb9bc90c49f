#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "proto/err.h"
#include "proto/liaison.pb-c.h"

static void every_code_has_its_name_and_sentence(void **state)
{
    const ProtobufCEnumDescriptor *d = &liaison__v1__code__descriptor;

    (void)state;
    for (unsigned i = 0; i < d->n_values; i++) {
        enum liaison_code code = (enum liaison_code)d->values[i].value;

        assert_string_equal(err_name(code), d->values[i].name + strlen("CODE_"));
        assert_string_not_equal(err_text(code), "an unknown code");
    }
}

static void a_number_that_is_no_code_is_never_retried(void **state)
{
    (void)state;
    assert_int_equal(err_retry((enum liaison_code)9999), RETRY_NEVER);
    assert_string_equal(err_text((enum liaison_code) - 1), "an unknown code");
    assert_int_not_equal(err_exit((enum liaison_code)11), 0);
}

static void only_success_exits_with_zero(void **state)
{
    const ProtobufCEnumDescriptor *d = &liaison__v1__code__descriptor;

    (void)state;
    for (unsigned i = 0; i < d->n_values; i++)
        assert_int_equal(err_exit((enum liaison_code)d->values[i].value) == 0,
                         d->values[i].value == LIAISON_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_name_and_sentence),
        cmocka_unit_test(a_number_that_is_no_code_is_never_retried),
        cmocka_unit_test(only_success_exits_with_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
