#include "sync/registry/token.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "sync/registry/flight.h"
#include "sync/registry/secret.h"

#include <string.h>
#include <time.h>

/* A longer life is nonsense, and would overflow. */
#define LIFE_MOST_S ((int64_t)10 * 365 * 24 * 3600)

/* --- the reply -----------------------------------------------------------------------------------------------------
 */

/* RFC 6750, 2.1: what may stand in the header behind "Bearer". */
static bool is_token(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/");
	return length > 0 && text[length + strspn(text + length, "=")] == '\0' && strlen(text) <= LIMIT_TOKEN_BYTES;
}

/* TOK-7: what there is instead, by its names alone. */
static bool no_token(const json_t *document, struct error *err)
{
	char names[LIMIT_FOREIGN_TEXT + 1], shown[LIMIT_FOREIGN_TEXT + 1];
	size_t used = 0;
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)document, key, value)
		if (used < sizeof names)
			used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", key);
	str_sanitize(names, strlen(names), shown, sizeof shown);
	return error_set(err, ERR_UNAUTHORIZED, "neither token nor access_token, but %s", used ? shown : "nothing");
}

static bool read_reply(const json_t *document, const char **token, int64_t *life_s, struct error *err)
{
	const char *plain = NULL, *access = NULL;
	const struct json_field fields[] = {
		{"token", JSON_WANT_TEXT, JSON_OPTIONAL, &plain},
		{"access_token", JSON_WANT_TEXT, JSON_OPTIONAL, &access},
		{"expires_in", JSON_WANT_INTEGER, JSON_OPTIONAL, life_s},
	};
	if (!json_read(document, fields, array_count(fields), err))
		return false;
	*token = access && *access ? access : plain;
	if (!*token)
		return no_token(document, err);
	if (!is_token(*token))
		return error_set(err, ERR_UNAUTHORIZED, "the token is too long or has bytes that no token has");
	if (*life_s > LIFE_MOST_S)
		return error_set(err, ERR_UNAUTHORIZED, "expires_in is absurd");
	return true;
}

/* "Z", or how far a clock there is ahead: "+01:00". */
static bool read_zone(const char *text, int64_t *ahead_s)
{
	struct tm zone = {0};
	*ahead_s = 0;
	if (str_is(text, "Z") || str_is(text, "z"))
		return true;
	if (*text != '+' && *text != '-')
		return false;
	const char *end = strptime(text + 1, "%H:%M", &zone);
	*ahead_s = (*text == '+' ? INT64_C(60) : -INT64_C(60)) * (zone.tm_hour * 60 + zone.tm_min);
	return end && *end == '\0';
}

/* RFC 3339, as seconds since 1970. */
static bool read_time(const char *text, int64_t *time_s)
{
	struct tm date = {0};
	int64_t ahead_s = 0;
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
	if (!p)
		return false;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if (!read_zone(p, &ahead_s))
		return false;
	*time_s = (int64_t)timegm(&date) - ahead_s;
	return true;
}

/* TOK-8: a token that was made before it came lives shorter; what clocks that differ would say is not believed. */
static int64_t left_of(int64_t life_s, const char *issued_at, int64_t now_s)
{
	int64_t issued_s;
	if (!issued_at || !read_time(issued_at, &issued_s) || issued_s > now_s || issued_s + life_s <= now_s)
		return life_s;
	return issued_s + life_s - now_s;
}

bool token_reply_parse(const void *bytes, size_t length, int64_t now_s, struct token_reply *reply, struct error *err)
{
	auto_json json_t *document = NULL;
	const char *token = NULL;
	int64_t life_s = TOKEN_LIFE_LEAST_S;
	struct error why;
	if (!json_parse(bytes, length, &document, &why) || !read_reply(document, &token, &life_s, &why))
		return error_set(err, ERR_UNAUTHORIZED, "not a token server's reply: %s", why.text);
	reply->token = memory_text(token);
	if (life_s < TOKEN_LIFE_LEAST_S)
		life_s = TOKEN_LIFE_LEAST_S;
	reply->life_s = left_of(life_s, json_string_value(json_object_get(document, "issued_at")), now_s);
	return true;
}

void token_reply_release(struct token_reply *reply)
{
	secret_free(reply->token);
	*reply = (struct token_reply){0};
}

/* --- the cache -----------------------------------------------------------------------------------------------------
 */

struct token {
	struct list node;
	char *key;
	char *text; /* NULL: none yet, or none any more */
	int64_t renew_ms;
	struct flight *flight;
	size_t users; /* who are in token_cache_get(): it stays for them */
};

static void token_free(struct token *token)
{
	free(token->key);
	secret_free(token->text);
	free(token);
}

void token_cache_init(struct token_cache *cache)
{
	list_init(&cache->tokens);
	cache->count = 0;
}

static void forget(struct token_cache *cache, struct token *token)
{
	list_remove(&token->node);
	token_free(token);
	cache->count--;
}

void token_cache_release(struct token_cache *cache)
{
	list_for_each_safe (node, &cache->tokens)
		forget(cache, list_item(node, struct token, node));
}

static struct token *find(const struct token_cache *cache, const char *key)
{
	list_for_each (node, &cache->tokens) {
		struct token *token = list_item(node, struct token, node);
		if (strcmp(token->key, key) == 0)
			return token;
	}
	return NULL;
}

static void make_room(struct token_cache *cache)
{
	list_for_each_safe (node, &cache->tokens) {
		struct token *token = list_item(node, struct token, node);
		if (cache->count < TOKENS_KEPT)
			return;
		if (token->users == 0)
			forget(cache, token);
	}
}

static struct token *find_or_add(struct token_cache *cache, const char *key)
{
	struct token *token = find(cache, key);
	if (token) {
		list_remove(&token->node);
	} else {
		make_room(cache);
		token = memory_new(1, sizeof *token);
		token->key = memory_text(key);
		list_init(&token->node);
		cache->count++;
	}
	list_append(&cache->tokens, &token->node);
	return token;
}

struct renewal {
	struct token *token;
	token_fetcher fetch;
	void *argument;
};

static bool renew(void *argument, struct error *err)
{
	struct renewal *renewal = argument;
	struct token *token = renewal->token;
	struct token_reply reply = {0};
	if (!renewal->fetch(renewal->argument, &reply, err))
		return false;
	secret_free(token->text);
	token->text = reply.token;
	token->renew_ms = loop_now_ms() + reply.life_s * 750; /* three quarters */
	return true;
}

static bool is_good(const struct token *token)
{
	return token->text && loop_now_ms() < token->renew_ms;
}

bool token_cache_get(struct token_cache *cache, const char *key, token_fetcher fetch, void *argument, char **token_text,
	struct error *err)
{
	struct token *token = find_or_add(cache, key);
	struct renewal renewal = {token, fetch, argument};
	token->users++;
	bool ok = is_good(token) || flight_share(&token->flight, renew, &renewal, err);
	if (ok && !token->text) /* dropped before we came to it */
		ok = error_set(err, ERR_UNAVAILABLE, "the token was taken back");
	if (ok)
		*token_text = memory_text(token->text);
	token->users--;
	return ok;
}

void token_cache_drop(struct token_cache *cache, const char *key, const char *text)
{
	struct token *token = find(cache, key);
	if (!token || !str_is(token->text, text))
		return;
	secret_free(token->text);
	token->text = NULL;
}
