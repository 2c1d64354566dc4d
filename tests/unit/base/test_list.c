/* The intrusive list. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	int number;
	struct list node;
};

static int numbers_of(struct list *head)
{
	int digits = 0;
	list_for_each (node, head)
		digits = digits * 10 + list_item(node, struct item, node)->number;
	return digits;
}

static void items_keep_the_order_in_which_they_came(void **state)
{
	(void)state;
	struct list head;
	struct item items[] = {{.number = 1}, {.number = 2}, {.number = 3}};
	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_false(list_has_one(&head));
	for (int i = 0; i < 3; i++) {
		list_append(&head, &items[i].node);
		assert_int_equal(list_has_one(&head), i == 0);
	}
	assert_int_equal(numbers_of(&head), 123);
	list_remove(&items[1].node);
	assert_int_equal(numbers_of(&head), 13);
	list_append(&head, &items[1].node);
	assert_int_equal(numbers_of(&head), 132);
}

static void leaving_twice_is_harmless(void **state)
{
	(void)state;
	struct list head;
	struct item items[] = {{.number = 1}, {.number = 2}};
	list_init(&head);
	for (int i = 0; i < 2; i++)
		list_append(&head, &items[i].node);
	list_remove(&items[0].node);
	list_remove(&items[0].node);
	assert_int_equal(numbers_of(&head), 2);
}

static void the_body_may_remove_its_item(void **state)
{
	(void)state;
	struct list head;
	struct item items[] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
	list_init(&head);
	for (int i = 0; i < 4; i++)
		list_append(&head, &items[i].node);
	list_for_each_safe (node, &head) {
		if (list_item(node, struct item, node)->number % 2 == 0)
			list_remove(node);
	}
	assert_int_equal(numbers_of(&head), 13);
	list_for_each_safe (node, &head)
		list_remove(node);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_keep_the_order_in_which_they_came),
		cmocka_unit_test(leaving_twice_is_harmless),
		cmocka_unit_test(the_body_may_remove_its_item),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
