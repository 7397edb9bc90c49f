#include "client/audit/broker.h"

#include <time.h>

bool broker_open(struct audit *a, enum broker_judge judge, int *status)
{
    const char *policy = a->opt[AUDIT_OPT_POLICY];
    enum liaison_code code = LIAISON_OK;

    if (!audit_open(a, status))
        return false;
    if (judge == BROKER_AS_IT_COMES)
        policy = "";
    if (policy != NULL)
        code = liaison_set(a->lib, "log_policy", policy);
    if (code == LIAISON_OK && a->opt[AUDIT_OPT_ROTATIONS] != NULL)
        code = liaison_set(a->lib, "log_rotations", a->opt[AUDIT_OPT_ROTATIONS]);
    if (code != LIAISON_OK)
        *status = audit_lib_fail(a, code);
    return code == LIAISON_OK;
}

struct slice broker_note(const struct liaison_answer *proof)
{
    size_t len = 0;
    const uint8_t *bytes = liaison_answer_note(proof, &len);

    return slice(bytes, len);
}

bool broker_read_note(struct slice note, struct checkpoint *out)
{
    struct note n;

    return note_parse(note, &n) == LIAISON_OK &&
           checkpoint_parse(n.text, out) == LIAISON_OK;
}

static bool has_quorum(struct note_policy *policy, const struct liaison_answer *proof)
{
    struct note_judgement judged;

    return note_judge(policy, broker_note(proof), (uint64_t)time(NULL), &judged) ==
               LIAISON_OK &&
           judged.quorum;
}

enum liaison_code broker_checkpoint(struct audit *a, struct note_policy *policy,
                                    uint64_t size, struct liaison_answer **out)
{
    struct liaison_answer *newest = NULL, *witnessed = NULL;
    struct checkpoint c;
    enum liaison_code code = liaison_prove(a->lib, NULL, 0, 0, size, &newest);

    if (code != LIAISON_OK)
        return code;
    if (!has_quorum(policy, newest) &&
        liaison_prove_witnessed(a->lib, NULL, 0, &witnessed) == LIAISON_OK &&
        has_quorum(policy, witnessed) && broker_read_note(broker_note(witnessed), &c) &&
        c.size >= size) {
        *out = witnessed;
        witnessed = newest; /* the one that is not wanted */
    } else {
        *out = newest;
    }
    liaison_answer_free(witnessed);
    return LIAISON_OK;
}
