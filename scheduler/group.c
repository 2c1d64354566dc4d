#include "scheduler/group.h"

#include "scheduler/internal.h"

void group_init(struct group *group, size_t width)
{
	*group = (struct group){.width = width > 0 ? width : 1};
	list_init(&group->tasks);
	waitqueue_init(&group->room);
	waitqueue_init(&group->idle);
}

static bool wait_for_room(struct group *group, struct error *err)
{
	while (!group->canceled && group->running >= group->width)
		if (!waitqueue_wait(&group->room, err)) {
			/* The wake-up that this task leaves unused belongs to the next in line. */
			if (group->running < group->width)
				waitqueue_wake_one(&group->room);
			return false;
		}
	return true;
}

bool group_spawn(struct group *group, task_function function, void *argument, struct error *err)
{
	if (!wait_for_room(group, err))
		return false;
	if (group->canceled || task_is_canceled())
		return error_set(err, ERR_CANCELED, "stopped");
	struct task *task = task_new(loop_current(), function, argument);
	task->group = group;
	list_append(&group->tasks, &task->group_node);
	group->running++;
	return true;
}

void group_task_ended(struct group *group, struct task *task)
{
	list_remove(&task->group_node);
	group->running--;
	waitqueue_wake_one(&group->room);
	if (group->running == 0)
		waitqueue_wake_all(&group->idle);
}

void group_wait(struct group *group)
{
	/* The last task may have ended after we were cancelled and before we ran: then nobody wakes us any more. */
	while (group->running > 0) {
		if (waitqueue_wait(&group->idle, NULL))
			continue;
		group_cancel(group);
		if (group->running > 0)
			waitqueue_wait_uncancelable(&group->idle);
	}
}

void group_cancel(struct group *group)
{
	if (group->canceled)
		return;
	group->canceled = true;
	list_for_each (node, &group->tasks)
		task_cancel(list_item(node, struct task, group_node));
	waitqueue_wake_all(&group->room);
}
