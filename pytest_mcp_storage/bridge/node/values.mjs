// Stand-ins for what JSON lacks: see docs/bridge-protocol.md, "Values".

const MARK = "$";
const UNDEFINED = { [MARK]: "undefined" };

const isObject = (value) => typeof value === "object" && value !== null;
const isStandIn = (value) => {
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === MARK;
};
const isLone = (text) => /\p{Surrogate}/u.test(text); // isWellFormed() came with Node.js 20

// Assignment would call the setter of "__proto__".
const set = (object, key, value) =>
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });

/** The value of a line, with its stand-ins replaced. */
export function parse(line) {
  const value = JSON.parse(line);
  return line.includes('"$"') || line.includes("\\u0024") ? unmark(value) : value;
}

/** One line, without its end. Values that JSON.stringify would drop or alter are replaced by stand-ins first. */
export function stringify(value) {
  return JSON.stringify(needsMarks(value) ? mark(value) : value);
}

function unmark(value) {
  if (!isObject(value)) return value;
  if (Array.isArray(value)) return value.map(unmark);
  if (!isStandIn(value)) {
    for (const key of Object.keys(value)) set(value, key, unmark(value[key]));
    return value;
  }
  const inside = value[MARK];
  if (inside === "undefined") return undefined;
  if (typeof inside === "string") return Number(inside);
  if (typeof inside.integer === "string") return Number(inside.integer);
  if (typeof inside.utf16 === "string") return text(inside.utf16);
  if ("quoted" in inside) return { [MARK]: unmark(inside.quoted) };
  throw new SyntaxError("an unknown stand-in");
}

function text(units) {
  let result = "";
  for (let at = 0; at < units.length; at += 4) result += String.fromCharCode(parseInt(units.slice(at, at + 4), 16));
  return result;
}

function needsMarks(value) {
  if (typeof value === "string") return isLone(value);
  if (typeof value === "number") return !Number.isFinite(value) || Object.is(value, -0);
  if (typeof value === "bigint" || value === undefined) return true;
  if (!isObject(value)) return false;
  if (Array.isArray(value)) return value.some(needsMarks);
  if (isStandIn(value)) return true;
  for (const key in value) if (value[key] !== undefined && needsMarks(value[key])) return true;
  return false;
}

function mark(value) {
  if (typeof value === "string") return isLone(value) ? { [MARK]: { utf16: units(value) } } : value;
  if (typeof value === "bigint") return { [MARK]: { integer: String(value) } };
  if (value === undefined) return UNDEFINED;
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return { [MARK]: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (!isObject(value) || typeof value.toJSON === "function") return value;
  if (Array.isArray(value)) return value.map(mark);
  const copy = {};
  for (const key of Object.keys(value)) if (value[key] !== undefined) set(copy, key, mark(value[key]));
  return isStandIn(copy) ? { [MARK]: { quoted: copy[MARK] } } : copy;
}

const units = (lone) =>
  Array.from({ length: lone.length }, (_, at) => lone.charCodeAt(at).toString(16).padStart(4, "0")).join("");
