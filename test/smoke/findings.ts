/** What was found wrong, counted, with the first examples. */
export class Findings {
  count = 0;
  readonly examples: string[] = [];

  add(what: string): void {
    this.count++;
    if (this.examples.length < 20) this.examples.push(what);
  }
}
