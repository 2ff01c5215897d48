/** What the threads of a process are doing, for the report on one that should have ended. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * A line for each thread: its number and name, the function of the kernel in which it sleeps, and the number of its system call. If
 * the main thread is in epoll, its event loop has something to wait for; in a futex, it waits for another thread. Empty if the
 * process has gone, or the system has no /proc.
 */
export function threadsOf(pid: number): string {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((id) => {
        const [name, sleeps, call] = ['comm', 'wchan', 'syscall'].map((file) =>
          readFileSync(`/proc/${pid}/task/${id}/${file}`, 'utf8').trim(),
        );
        return `${id} ${name}: ${sleeps}, ${call?.split(' ')[0]}`;
      })
      .join('\n');
  } catch {
    return '';
  }
}
