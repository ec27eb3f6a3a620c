// Debian and its kin keep the header in a folder of its own, which only pkg-config would tell.
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

// A sync that does not flush by itself lets several statements leave in one system call; libpq has it from 17 on.
static inline int rocket_pipeline_sync(PGconn *connection) {
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(connection);
#else
    return PQpipelineSync(connection);
#endif
}

static inline void rocket_ignore_notice(void *argument, const PGresult *result) {
    (void)argument;
    (void)result;
}

// Without a receiver of its own libpq prints notices to standard error.
static inline void rocket_silence_notices(PGconn *connection) {
    PQsetNoticeReceiver(connection, rocket_ignore_notice, 0);
}
