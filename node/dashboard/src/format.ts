// Numbers and times as people read them.

const UNITS = ["", "k", "M", "G", "T"];

/// 12,345,678 is "12.3 M".
export function short(value: number): string {
  if (!Number.isFinite(value)) return "–";
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit + 1 < UNITS.length) {
    value /= 1000;
    ++unit;
  }
  const digits = unit === 0 ? (value < 10 && value % 1 !== 0 ? 1 : 0) : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return value.toFixed(digits) + (unit === 0 ? "" : "\u202f" + UNITS[unit]);
}

export function bytes(value: number): string {
  return Number.isFinite(value) ? short(value) + (value < 999.5 ? "\u202fB" : "B") : "–";
}

/// 1234567 is "1,234,567".
export function grouped(value: string | number): string {
  return BigInt(Math.trunc(Number(value)) === Number(value) ? value : 0).toLocaleString("en");
}

export function milliseconds(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value < 0.005) return "0\u202fms";
  if (value < 1) return value.toFixed(2) + "\u202fms";
  if (value < 10) return value.toFixed(1) + "\u202fms";
  return value < 9999.5 ? Math.round(value) + "\u202fms" : (value / 1000).toFixed(1) + "\u202fs";
}

export function duration(seconds: number): string {
  if (seconds < 1) return Math.round(seconds * 1000) + "\u202fms";
  if (seconds < 60) return seconds.toFixed(seconds < 10 ? 1 : 0) + "\u202fs";
  if (seconds < 3600) return Math.floor(seconds / 60) + "\u202fmin\u202f" + Math.floor(seconds % 60) + "\u202fs";
  if (seconds < 86400) return Math.floor(seconds / 3600) + "\u202fh\u202f" + Math.floor((seconds % 3600) / 60) + "\u202fmin";
  return Math.floor(seconds / 86400) + "\u202fd\u202f" + Math.floor((seconds % 86400) / 3600) + "\u202fh";
}

/// How long ago something was, which is a matter of milliseconds as a rule.
export function age(seconds: number): string {
  return seconds < 10 ? milliseconds(seconds * 1000) : duration(seconds);
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function clock(unixMilliseconds: number): string {
  return CLOCK.format(unixMilliseconds);
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/// The clock, with the day if it was not today.
export function moment(unixMilliseconds: number): string {
  const today = new Date(unixMilliseconds).toDateString() === new Date().toDateString();
  return today ? clock(unixMilliseconds) : `${DAY.format(unixMilliseconds)} ${clock(unixMilliseconds)}`;
}
