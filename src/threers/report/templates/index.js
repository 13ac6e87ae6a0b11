// Sorts the table of sessions by the column whose heading is pressed.

const body = document.querySelector("#table tbody");
const heads = [...document.querySelectorAll("#table thead th")];
const order = new Intl.Collator("en", { numeric: true });

function value(row, column) {
  return row.cells[column].dataset.v ?? "";
}

function sort(column) {
  const head = heads[column];
  const falling = head.getAttribute("aria-sort") === (head.classList.contains("words") ? "ascending" : "descending");
  const up = head.classList.contains("words") ? !falling : falling;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [value(a, column), value(b, column)];
    // What is not known stands last, whichever way.
    if (x === "" || y === "") return (x === "") - (y === "");
    const by = head.classList.contains("number") ? Number(x) - Number(y) : order.compare(x, y);
    return up ? by : -by;
  });
  heads.forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.replaceChildren(...rows);
  document.getElementById("live").textContent = `Sorted by ${head.textContent.trim()}, ${up ? "ascending" : "descending"}`;
}

heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => sort(column)));
