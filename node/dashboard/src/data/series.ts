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
