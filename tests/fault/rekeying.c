/* A broker that changes its keys every 16 records instead of every 2^23, so that a test sees many key updates of its side.
 * Everything else is liaisond, linked with --wrap=stream_new. */
#include "broker/wire/stream.h"

enum { RECORDS = 16 };

enum liaison_code __real_stream_new(SSL_CTX *context, int fd, uint64_t key_records,
                                    struct stream **out);
enum liaison_code __wrap_stream_new(SSL_CTX *context, int fd, uint64_t key_records,
                                    struct stream **out);

enum liaison_code __wrap_stream_new(SSL_CTX *context, int fd, uint64_t key_records,
                                    struct stream **out)
{
    (void)key_records;
    return __real_stream_new(context, fd, RECORDS, out);
}
