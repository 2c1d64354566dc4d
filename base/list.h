/*
 * An intrusive, doubly linked, circular list: the node lives in the item, so that joining and leaving never
 * allocates. A node that is in no list points at itself, so that leaving twice is harmless.
 */
#ifndef DRAY_BASE_LIST_H
#define DRAY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

/** Make @node an empty list, or an item in no list. */
static inline void list_init(struct list *node)
{
	node->prev = node->next = node;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/** Exactly one item? */
static inline bool list_has_one(const struct list *head)
{
	return head->next != head && head->next == head->prev;
}

/** Put @item at the end of @head. It must be in no list. */
static inline void list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/** Take @item out of the list it is in, if any. */
static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

/** The struct around the node. */
#define list_item(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* NOLINTBEGIN(bugprone-macro-parentheses): @node is a name that is declared, which takes no parentheses. */
#define list_for_each(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)

/* The body may remove @node, and nothing else. */
#define list_for_each_safe(node, head)                                                                                 \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head);                              \
		node = node##_next, node##_next = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
