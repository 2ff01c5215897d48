// An inherited socket at a stop: other processes have it too, systemd above all, and the next filter is to
// get the connections that wait in its queue and all that are made from then on.
//
// libmilter's listener cannot be stopped without its sessions, and would go on to accept. So the number under
// which it knows the socket is given to something that is never ready, and to which nobody can connect.
#pragma once

namespace milter {

// Lets accept() on the inherited socket return when another process was faster, where it would have waited
// for the next connection: every process that has the socket wakes up for each.
void neverBlockAccept(int fd);

// Replaces the listening socket `fd`. False if that could not be done, and `fd` is as before. poll() looks at
// what a number stands for when it begins and when it is woken: one that waits already has to be woken once.
bool replaceListener(int fd);

}  // namespace milter
