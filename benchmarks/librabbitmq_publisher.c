/* The peer to beat: a C publisher with confirms on librabbitmq.
 *
 * usage: BENCHMARK_PASSWORD=... librabbitmq_publisher HOST PORT USER VHOST QUEUE WINDOW BODIES
 *
 * Publishes each line of the file BODIES, read beforehand, as one message with the properties of the contract
 * (content type, delivery mode 2, message id, app id, timestamp; mandatory) to QUEUE through the default exchange, with
 * at most WINDOW unconfirmed. Prints JSON: rows, seconds from the first publish to the last confirm, processor (seconds).
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

static void die(const char *what, int status) {
    fprintf(stderr, "%s: %s\n", what, status ? amqp_error_string2(status) : "refused");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double processor(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_utime.tv_usec / 1e6 + u.ru_stime.tv_sec + u.ru_stime.tv_usec / 1e6;
}

/* Which delivery tags are settled, all up to `watermark`, and how many in all. */
static unsigned char *is_settled;
static uint64_t watermark = 0, settled = 0;

static void settle(uint64_t tag) {
    if (is_settled[tag]) return;
    is_settled[tag] = 1;
    settled++;
}

static void take_ack(const amqp_basic_ack_t *ack) {
    if (ack->multiple)
        for (uint64_t tag = watermark + 1; tag < ack->delivery_tag; tag++) settle(tag);
    settle(ack->delivery_tag);
    while (is_settled[watermark + 1]) watermark++;
}

/* Reads frames until at most `most` messages are unconfirmed; then takes what has come already, without waiting. */
static void take_confirms(amqp_connection_state_t connection, uint64_t sent, uint64_t most) {
    struct timeval at_once = {0, 0}, patience = {60, 0};
    for (;;) {
        amqp_frame_t frame;
        int full = sent - settled > most;
        int status = amqp_simple_wait_frame_noblock(connection, &frame, full ? &patience : &at_once);
        if (status == AMQP_STATUS_TIMEOUT && !full) return;
        if (status != AMQP_STATUS_OK) die("waiting for confirms", status);
        if (frame.frame_type != AMQP_FRAME_METHOD) continue;
        if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
            fprintf(stderr, "not an ack: 0x%x\n", frame.payload.method.id);
            exit(1);
        }
        take_ack(frame.payload.method.decoded);
        amqp_maybe_release_buffers(connection);
    }
}

int main(int argc, char **argv) {
    const char *password = getenv("BENCHMARK_PASSWORD");
    FILE *input = argc == 8 ? fopen(argv[7], "r") : NULL;
    if (!password || !input) {
        fprintf(stderr, "usage: BENCHMARK_PASSWORD=... %s HOST PORT USER VHOST QUEUE WINDOW BODIES\n", argv[0]);
        return 2;
    }
    uint64_t window = strtoull(argv[6], NULL, 10), count = 0, room = 1 << 20;
    char **bodies = malloc(room * sizeof *bodies), *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, input)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        if (count == room) bodies = realloc(bodies, (room *= 2) * sizeof *bodies);
        bodies[count++] = strdup(line);
    }
    is_settled = calloc(count + 2, 1);

    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    int status = amqp_socket_open(socket, argv[1], atoi(argv[2]));
    if (status) die("connect", status);
    if (amqp_login(connection, argv[4], 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, argv[3], password).reply_type != AMQP_RESPONSE_NORMAL)
        die("login", 0);
    amqp_channel_open(connection, 1);
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) die("channel", 0);
    amqp_confirm_select(connection, 1);
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) die("confirms", 0);

    amqp_basic_properties_t properties;
    memset(&properties, 0, sizeof properties);
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                        AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_APP_ID_FLAG;
    properties.content_type = amqp_cstring_bytes("application/json");
    properties.delivery_mode = 2;
    properties.timestamp = (uint64_t)time(NULL);
    properties.app_id = amqp_cstring_bytes("promise-pub");

    char id[64];
    double start = now(), busy = processor();
    for (uint64_t n = 0; n < count; n++) {
        snprintf(id, sizeof id, "00000000-0000-4000-8000-000000000000:%llu", (unsigned long long)n + 1);
        properties.message_id = amqp_cstring_bytes(id);
        status = amqp_basic_publish(connection, 1, amqp_empty_bytes, amqp_cstring_bytes(argv[5]), 1, 0, &properties,
                                    amqp_cstring_bytes(bodies[n]));
        if (status) die("publish", status);
        if (n + 1 - settled >= window || n % 64 == 63) take_confirms(connection, n + 1, window - 1);
    }
    while (settled < count) take_confirms(connection, count, 0);
    printf("{\"rows\": %llu, \"seconds\": %.6f, \"processor\": %.6f}\n", (unsigned long long)count, now() - start, processor() - busy);
    amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(connection);
    return 0;
}
