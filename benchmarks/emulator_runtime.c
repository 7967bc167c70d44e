/* The smallest custom runtime: takes an event, posts it back, takes the next one. One connection, no libraries. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 20];

static int connect_to(const char *address) {
    char host[64];
    const char *colon = strrchr(address, ':');
    struct sockaddr_in target = {.sin_family = AF_INET};
    int one = 1, sock = socket(AF_INET, SOCK_STREAM, 0);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    target.sin_port = htons((unsigned short)atoi(colon + 1));
    inet_pton(AF_INET, host, &target.sin_addr);
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return connect(sock, (struct sockaddr *)&target, sizeof target) == 0 ? sock : -1;
}

static void send_all(int sock, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = write(sock, bytes, length);
        if (sent <= 0) exit(1);
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* Reads one response into the buffer; *body and *length say where its body is. */
static void receive(int sock, char **body, size_t *length) {
    size_t filled = 0;
    for (*body = NULL;;) {
        ssize_t got = read(sock, buffer + filled, sizeof buffer - 1 - filled);
        if (got <= 0) exit(1);
        filled += (size_t)got;
        buffer[filled] = 0;
        if (*body == NULL) {
            char *end = strstr(buffer, "\r\n\r\n"), *size = strcasestr(buffer, "\r\nContent-Length:");
            if (end == NULL) continue;
            *body = end + 4;
            *length = size != NULL && size < end ? strtoul(size + 17, NULL, 10) : 0;
        }
        if (filled >= (size_t)(*body - buffer) + *length) return;
    }
}

int main(void) {
    const char *address = getenv("AWS_LAMBDA_RUNTIME_API");
    int sock = address == NULL ? -1 : connect_to(address);
    if (sock < 0) return 1;
    for (;;) {
        char head[512], request[64] = "", *body, *id;
        size_t length;
        int written = snprintf(head, sizeof head, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", address);
        send_all(sock, head, (size_t)written);
        receive(sock, &body, &length);
        id = strcasestr(buffer, "\r\nLambda-Runtime-Aws-Request-Id:");
        if (id == NULL || sscanf(id + 33, "%63s", request) != 1) return 1;
        written = snprintf(head, sizeof head,
                           "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s\r\n"
                           "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                           request, address, length);
        memmove(buffer + written, body, length);
        memcpy(buffer, head, (size_t)written);
        send_all(sock, buffer, (size_t)written + length);
        receive(sock, &body, &length);
    }
}
