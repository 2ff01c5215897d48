/**
 * The text without the characters at its end that are among `dropped`. A regular expression that ends in `+$` does the same in quadratic
 * time: it is tried from each character of every run of them, also of those that are not at the end.
 */
export function withoutAtEnd(text: string, dropped: string): string {
  let end = text.length;
  while (end > 0 && dropped.includes(text[end - 1] as string)) end--;
  return text.slice(0, end);
}
