// Decimal numbers in text fields, with a point or a comma. A number field of an English browser drops the comma.

// NaN if the text is not a number.
export function decimal(text) {
  const trimmed = text.trim().replace(",", ".").replace("−", "-");
  return trimmed === "" ? NaN : Number(trimmed);
}

// Lets the form of a field be sent only with a number within the limits.
export function requireDecimal(field, low, high) {
  const check = () => {
    const value = decimal(field.value);
    field.setCustomValidity(value >= low && value <= high ? "" : `Enter a number from ${low} to ${high}, such as 1.5.`);
  };
  field.addEventListener("input", check);
  check();
}
