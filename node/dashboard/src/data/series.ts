// A ring of samples, one a second, of fixed length: a page left open for days holds as much as one left open for ten minutes.

export class Series {
  private readonly times: Float64Array;
  private readonly columns: Float32Array[];
  private length = 0;

  constructor(readonly columnCount: number, readonly capacity = 600) {
    this.times = new Float64Array(capacity);
    this.columns = Array.from({ length: columnCount }, () => new Float32Array(capacity));
  }

  /// NaN is a gap.
  push(time: number, values: readonly number[]): void {
    if (this.length === this.capacity) {
      this.times.copyWithin(0, 1);
      for (const column of this.columns) column.copyWithin(0, 1);
      --this.length;
    }
    this.times[this.length] = time;
    this.columns.forEach((column, index) => (column[this.length] = values[index] ?? NaN));
    ++this.length;
  }

  /// What was before the first sample, oldest first, as far as there is room.
  prepend(times: readonly number[], columns: readonly (readonly (number | null)[])[]): void {
    const first = this.length > 0 ? this.times[0]! : Infinity;
    const begins = times.findIndex((_, index) => columns.some((column) => (column[index] ?? null) !== null));
    if (begins < 0 || this.length === this.capacity) return;
    const known = times.flatMap((time, index) => (index >= begins && time < first ? [index] : [])).slice(this.length - this.capacity);
    const count = known.length;
    this.times.copyWithin(count, 0, this.length);
    known.forEach((from, to) => (this.times[to] = times[from]!));
    this.columns.forEach((column, index) => {
      column.copyWithin(count, 0, this.length);
      known.forEach((from, to) => (column[to] = columns[index]?.[from] ?? NaN));
    });
    this.length += count;
  }

  /// Times, then the columns, as uPlot takes them; a gap is null.
  table(): [number[], ...(number | null)[][]] {
    const times = Array.from(this.times.subarray(0, this.length));
    const columns = this.columns.map((column) =>
      Array.from(column.subarray(0, this.length), (value) => (Number.isNaN(value) ? null : value)));
    return [times, ...columns];
  }

  last(column: number): number {
    return this.length > 0 ? this.columns[column]![this.length - 1]! : NaN;
  }
}
