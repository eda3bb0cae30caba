"use strict";
// Without this script the page still tells everything. It adds arrow keys, copying, and addresses for single cells.
(() => {
  const table = document.getElementById("matrix");
  const rows = [...table.querySelectorAll("tbody tr:not(.band)")];
  const cells = rows.map((row) => [...row.querySelectorAll("td > *")]);
  const buttons = cells.map((row) => row.filter((cell) => cell.localName === "button"));
  const shown = (row) => rows[row].offsetParent !== null;

  // What the keyboard scrolls to must not end up under the headings.
  const frame = table.parentElement;
  const clear = () => {
    frame.style.scrollPadding = `${table.tHead.offsetHeight + 4}px 4px 4px ${table.tHead.rows[0].cells[0].offsetWidth + 4}px`;
  };
  addEventListener("resize", clear);
  clear();

  // One stop for the Tab key; the arrows move inside the matrix.
  table.setAttribute("role", "grid");
  for (const button of buttons.flat()) button.tabIndex = -1;
  let home = buttons.flat()[0];
  if (home) home.tabIndex = 0;

  const go = (button) => {
    if (!button) return;
    home.tabIndex = -1;
    home = button;
    home.tabIndex = 0;
    home.focus();
  };

  const step = (row, column, down, right) => {
    for (row += down, column += right; cells[row] && column in cells[row]; row += down, column += right) {
      if (shown(row) && cells[row][column].localName === "button") return cells[row][column];
    }
    return undefined;
  };

  table.addEventListener("keydown", (event) => {
    const row = cells.findIndex((each) => each.includes(event.target));
    if (row < 0 || event.altKey || event.metaKey) return;
    const column = cells[row].indexOf(event.target);
    const all = event.ctrlKey ? buttons.filter((_, index) => shown(index)).flat() : buttons[row];
    const moves = {
      ArrowUp: () => step(row, column, -1, 0),
      ArrowDown: () => step(row, column, 1, 0),
      ArrowLeft: () => step(row, column, 0, -1),
      ArrowRight: () => step(row, column, 0, 1),
      Home: () => all[0],
      End: () => all.at(-1),
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    go(moves[event.key]());
  });

  table.addEventListener("focusin", (event) => {
    if (event.target.localName !== "button" || event.target === home) return;
    home.tabIndex = -1;
    home = event.target;
    home.tabIndex = 0;
  });

  // Copy a command or a test; if the clipboard can't be used, select the text instead.
  const copy = async (box, button) => {
    const code = box.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
  };
  const prepare = (panel) => {
    for (const box of panel.querySelectorAll(".copied:not(:has(button))")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.setAttribute("aria-live", "polite");
      button.addEventListener("click", () => copy(box, button));
      box.append(button);
    }
  };

  // matrix.html#EX-2@sqlite opens that cell; opening a cell puts its address into the bar.
  const address = (button) => {
    const [column, clause] = [button.closest("td").cellIndex, button.closest("tr").querySelector("th b").textContent];
    const name = table.tHead.rows[0].cells[column].textContent.trim();
    return `#${encodeURIComponent(clause)}@${encodeURIComponent(name)}`;
  };
  document.addEventListener("toggle", (event) => {
    const panel = event.target;
    if (!panel.matches?.(".panel")) return;
    const button = table.querySelector(`button[popovertarget="${panel.id}"]`);
    const open = event.newState === "open";
    button.toggleAttribute("data-open", open);
    if (open) {
      prepare(panel);
      history.replaceState(null, "", address(button));
    } else if (location.hash === address(button)) {
      history.replaceState(null, "", location.pathname + location.search);
    }
  }, true);
  // An address that a person wrote has ":" in it as it is.
  const decoded = (hash) => {
    try {
      return decodeURIComponent(hash);
    } catch {
      return hash;
    }
  };
  const follow = () => {
    if (!location.hash.includes("@")) return;
    const asked = decoded(location.hash);
    const button = buttons.flat().find((each) => decoded(address(each)) === asked);
    if (!button) return;
    button.scrollIntoView({ block: "center", inline: "center" });
    go(button);
    document.getElementById(button.getAttribute("popovertarget")).showPopover();
  };
  addEventListener("hashchange", follow);
  follow();
})();
