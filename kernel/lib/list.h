/* Intrusive doubly linked list. The caller locks. Pure. */
#pragma once
#include "kernel/lib/types.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* Insert item before pos (pos = the head: at the tail). */
static inline void list_insert_before(struct list *pos, struct list *item)
{
    item->next = pos;
    item->prev = pos->prev;
    pos->prev->next = item;
    pos->prev = item;
}

/* Unlink item and leave it self-linked, so that removing it twice is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#define LIST_FOR_EACH(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define LIST_FOR_EACH_SAFE(pos, head)                                                                                 \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head); pos = pos##_next, pos##_next = pos->next)
