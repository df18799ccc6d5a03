#include "services/classify/provider/endpoint.h"

#include "services/runtime/clock.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURN_MS = 200, /* between two looks at the watch */
    CONNECT_MS = 10000,
    COMPLAINT_BYTES = 16384, /* of an answer that is no good one */
    NAME_BYTES = 256,
};

struct endpoint {
    const struct endpoint_watch *watch;
    char name[NAME_BYTES];
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
    char *body;
    size_t size, room, most;
    bool talkative;
};

static size_t take(char *bytes, size_t one, size_t n, void *self_)
{
    struct endpoint *self = self_;
    long status = 0;
    curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    size_t most = status < 400 ? self->most : COMPLAINT_BYTES, size = n * one;
    if (size > most - self->size) {
        self->talkative = status < 400;
        if (self->talkative)
            return CURL_WRITEFUNC_ERROR;
        size = most - self->size; /* the rest of a complaint is not needed */
    }
    if (self->size + size > self->room) {
        size_t room = 2 * (self->size + size);
        char *larger = realloc(self->body, room);
        if (!larger)
            return CURL_WRITEFUNC_ERROR;
        self->body = larger;
        self->room = room;
    }
    memcpy(self->body + self->size, bytes, size);
    self->size += size;
    return n * one;
}

/* One part of a URL into `to`; false when there is none. */
static bool part(CURLU *url, CURLUPart which, char *to, size_t room)
{
    char *text = NULL;
    bool there = curl_url_get(url, which, &text, 0) == CURLUE_OK && *text;
    snprintf(to, room, "%s", there ? text : "");
    curl_free(text);
    return there;
}

static bool name_it(struct endpoint *self, const char *text, struct leat_error *err)
{
    CURLU *url = curl_url();
    char scheme[8] = "", host[128] = "", port[8] = "", path[96] = "";
    bool good = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                part(url, CURLUPART_SCHEME, scheme, sizeof scheme) &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                part(url, CURLUPART_HOST, host, sizeof host);
    if (good) {
        bool has_port = part(url, CURLUPART_PORT, port, sizeof port);
        part(url, CURLUPART_PATH, path, sizeof path);
        snprintf(self->name, sizeof self->name, "%s://%s%s%s%s", scheme, host, has_port ? ":" : "",
                 port, path);
    }
    curl_url_cleanup(url);
    return good || leat_fail(err, "expected a URL that begins with https:// or http://");
}

/* What goes into a header has to be one word. */
static bool is_word(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool add_header(struct endpoint *self, const char *line)
{
    struct curl_slist *longer = curl_slist_append(self->headers, line);
    if (longer)
        self->headers = longer;
    return longer != NULL;
}

static bool add_headers(struct endpoint *self, const char *key, struct leat_error *err)
{
    char line[1100];
    if (!is_word(key) || strlen(key) > 1024)
        return leat_fail(err, "the key must be one word of at most 1024 letters");
    snprintf(line, sizeof line, "Authorization: Bearer %s", key);
    bool good = add_header(self, "Content-Type: application/json") &&
                add_header(self, "Accept: application/json") && add_header(self, "Expect:") &&
                (!*key || add_header(self, line));
    explicit_bzero(line, sizeof line);
    return good || leat_fail(err, "out of memory");
}

static bool set_up(struct endpoint *self, const char *url, struct leat_error *err)
{
    CURL *easy = self->easy;
    bool good = curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_HTTPHEADER, self->headers) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_WRITEDATA, self) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->why) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_USERAGENT, "leat/" LEAT_VERSION) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    /* What a libcurl may have been built without. Who looks a name up, in a thread of libcurl's, is
     * not waited for: servers of names that do not answer would hold up more than the request. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    return good || leat_fail(err, "libcurl cannot do what is needed");
}

struct endpoint *endpoint_open(const char *url, const char *key, const struct endpoint_watch *watch,
                               struct leat_error *err)
{
    struct endpoint *self = calloc(1, sizeof *self);
    if (!self || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        leat_fail(err, "libcurl cannot be started");
        return NULL;
    }
    self->watch = watch;
    self->multi = curl_multi_init();
    self->easy = curl_easy_init();
    if (!self->multi || !self->easy)
        leat_fail(err, "out of memory");
    else if (name_it(self, url, err) && add_headers(self, key, err) && set_up(self, url, err))
        return self;
    endpoint_close(&self);
    return NULL;
}

void endpoint_close(struct endpoint **self_)
{
    struct endpoint *self = *self_;
    if (!self)
        return;
    curl_easy_cleanup(self->easy);
    curl_multi_cleanup(self->multi);
    curl_slist_free_all(self->headers);
    curl_global_cleanup();
    free(self->body);
    free(self);
    *self_ = NULL;
}

const char *endpoint_name(const struct endpoint *self)
{
    return self->name;
}

/* Turns until the request is through; false: told to stop. *code is what libcurl made of it. */
static bool perform(struct endpoint *self, CURLcode *code)
{
    int running = 1, left;
    *code = CURLE_FAILED_INIT;
    if (curl_multi_add_handle(self->multi, self->easy) != CURLM_OK)
        return true;
    bool goes_on = true;
    while (running && goes_on && curl_multi_perform(self->multi, &running) == CURLM_OK) {
        if (running)
            curl_multi_poll(self->multi, NULL, 0, TURN_MS, NULL);
        goes_on = self->watch->goes_on(self->watch->owner);
    }
    for (CURLMsg *told; (told = curl_multi_info_read(self->multi, &left));)
        if (told->msg == CURLMSG_DONE)
            *code = told->data.result;
    curl_multi_remove_handle(self->multi, self->easy);
    return goes_on || !running;
}

enum endpoint_outcome endpoint_post(struct endpoint *self, const char *body, size_t size,
                                    size_t most, int64_t timeout, struct endpoint_answer *out,
                                    struct leat_error *err)
{
    CURLcode code;
    curl_off_t retry_after = 0;
    self->size = 0;
    self->most = most;
    self->talkative = false;
    self->why[0] = '\0';
    *out = (struct endpoint_answer){0};
    curl_easy_setopt(self->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(self->easy, CURLOPT_TIMEOUT_MS, (long)timeout);
    curl_easy_setopt(self->easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(timeout < CONNECT_MS ? timeout : CONNECT_MS));
    if (!perform(self, &code))
        return ENDPOINT_STOPPED;
    if (self->talkative)
        return ENDPOINT_TALKATIVE;
    if (code != CURLE_OK) {
        leat_fail(err, "%s", *self->why ? self->why : curl_easy_strerror(code));
        return ENDPOINT_SILENT;
    }
    curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &out->status);
    curl_easy_getinfo(self->easy, CURLINFO_RETRY_AFTER, &retry_after);
    out->retry_after = retry_after > 0 ? (retry_after < 86400 ? retry_after : 86400) * 1000 : 0;
    out->body = self->body;
    out->size = self->size;
    return ENDPOINT_ANSWERED;
}

bool endpoint_pause(struct endpoint *self, int64_t ms)
{
    int64_t until = leat_monotonic_us() + ms * 1000, left;
    bool goes_on = self->watch->goes_on(self->watch->owner);
    while (goes_on && (left = (until - leat_monotonic_us() + 999) / 1000) > 0) {
        curl_multi_poll(self->multi, NULL, 0, left < TURN_MS ? (int)left : TURN_MS, NULL);
        goes_on = self->watch->goes_on(self->watch->owner);
    }
    return goes_on;
}
