/* covers: T-74 */
#include "base/buf.h"
#include "base/limits.h"
#include "config/load.h"

#include <stdlib.h>
#include <time.h>

#define HEAD "version: 1\ndefaults: {target: t.io/p}\nrepos: [a.io/x]\n"

enum { TEXT_MAX = 4 << 20 };

/* @before, then @count times @each, then @after. New memory. */
static char *repeated(const char *before, const char *each, size_t count, const char *after)
{
	auto_buf struct buf text;
	struct error err;
	buf_init(&text, TEXT_MAX);
	assert_true(buf_appendf(&text, &err, "%s", before));
	for (size_t i = 0; i < count; i++)
		assert_true(buf_append(&text, each, strlen(each), &err));
	assert_true(buf_appendf(&text, &err, "%s", after));
	return buf_take(&text, NULL);
}

/* Takes @text. */
static void refuse(char *text, const char *says)
{
	char *lines;
	clock_t before = clock();
	struct config *config = load_text(text, &lines);
	if (config || !strstr(lines, says))
		fail_msg("said:\n%s\nexpected:\n%s", lines, says);
	/* The sanitizers' pace included; what expands takes minutes. */
	assert_true(clock() - before < 5 * CLOCKS_PER_SEC);
	free(lines);
	free(text);
}

static void a_file_is_no_longer_than_its_limit(void **state)
{
	(void)state;
	size_t rest = LIMIT_CONFIG_FILE_BYTES - strlen(HEAD);
	char *longest = repeated(HEAD, "#", rest, "");
	config_free(load_good(longest));
	free(longest);
	refuse(repeated(HEAD, "#", rest + 1, ""), "more than 1048576 bytes\n");
}

static void nesting_has_a_limit(void **state)
{
	(void)state;
	refuse(repeated("nope: ", "[", LIMIT_CONFIG_DEPTH - 1, "x") /* and unclosed */, "not YAML: ");
	refuse(repeated("nope: ", "[", LIMIT_CONFIG_DEPTH, ""), "1:38: nested more than 32 deep\n");
	refuse(repeated("", "[", 500000, ""), "1:33: nested more than 32 deep\n");
	refuse(repeated("", "- ", 500000, ""), "1:65: nested more than 32 deep\n");
	refuse(repeated("", "? ", 500000, ""), "1:3: a key must be a text\n");
}

static void an_alias_nests_as_deep_as_what_it_repeats(void **state)
{
	(void)state;
	char *half = repeated("a: &a ", "[", 20, "x");
	char *closed = repeated(half, "]", 20, "\nb: ");
	char *open = repeated(closed, "[", 20, "*a");
	free(half);
	free(closed);
	refuse(open, "2:24: nested more than 32 deep\n");
}

static void events_have_a_limit(void **state)
{
	(void)state;
	refuse(repeated(HEAD "nope: [", "a,", LIMIT_CONFIG_EVENTS, "]\n"), "the file has more than 200000 YAML events");
}

static void keys_of_one_mapping_have_a_limit(void **state)
{
	(void)state;
	auto_buf struct buf text;
	struct error err;
	buf_init(&text, TEXT_MAX);
	for (int i = 0; i < 100000; i++)
		assert_true(buf_appendf(&text, &err, "k%d: 1\n", i));
	refuse(buf_take(&text, NULL), "1001:1: a mapping of more than 1000 keys\n");
}

static void aliases_have_a_limit(void **state)
{
	(void)state;
	char *most =
		repeated("version: 1\nstate: &a t.io/p\ndefaults: {target: *a}\nrepos: [{source: a.io/x, platforms: "
			 "[&p linux/amd64",
			", *p", 63, "]}]\n");
	config_free(load_good(most));
	free(most);
	refuse(repeated("a: &a x\nb: [", "*a,", 65, "]\n"), "2:197: more than 64 aliases\n");
}

static void what_aliases_repeat_is_counted(void **state)
{
	(void)state;
	refuse(repeated("a: &a [x,x,x,x,x,x,x,x,x,x]\n"
			"b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
			"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
			"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
			"f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
		       "", 0, ""),
		"5:29: the file has more than 200000 YAML events, what aliases repeat included\n");
	char *anchored = repeated("a: &a \"", "x", 500000, "\"\n");
	refuse(repeated(anchored, "", 0, "b: [*a, *a, *a]\n"),
		"2:13: aliases and variables add more than 1048576 bytes\n");
	free(anchored);
}

static void what_variables_add_is_counted(void **state)
{
	(void)state;
	char *value = repeated("", "x", 100000, "");
	setenv("DRAY_TEST_LONG", value, 1);
	free(value);
	refuse(repeated(HEAD "nope: [", "\"${DRAY_TEST_LONG}\",\n", 11, "]\n"),
		"14:1: aliases and variables add more than 1048576 bytes\n");
	refuse(repeated(HEAD "nope: \"", "${DRAY_TEST_LONG}", 30, "\"\n"), "4:7: more than 2097152 bytes\n");
}

static void targets_of_an_entry_have_a_limit(void **state)
{
	(void)state;
	refuse(repeated("version: 1\nrepos:\n- {source: a.io/x, targets: [t.io/x", ", t.io/x", 20, "]}\n"),
		"3:29: more than 20 targets\n");
}

static void a_long_list_of_entries_takes_no_square_time(void **state)
{
	(void)state;
	refuse(repeated("version: 1\ndefaults: {target: t.io/p}\nrepos:\n", "- a.io/x\n", 50000, ""), " more errors\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_no_longer_than_its_limit),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(an_alias_nests_as_deep_as_what_it_repeats),
		cmocka_unit_test(events_have_a_limit),
		cmocka_unit_test(keys_of_one_mapping_have_a_limit),
		cmocka_unit_test(aliases_have_a_limit),
		cmocka_unit_test(what_aliases_repeat_is_counted),
		cmocka_unit_test(what_variables_add_is_counted),
		cmocka_unit_test(targets_of_an_entry_have_a_limit),
		cmocka_unit_test(a_long_list_of_entries_takes_no_square_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
