// Names and focus that the theme's templates lack: a dialog has a name, a landmark is unique, what scrolls takes the focus.
function complete() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll("nav.md-code__nav").forEach((nav, number) => nav.setAttribute("aria-label", `Code ${number + 1}`));
  document.querySelectorAll("nav.md-nav[aria-labelledby]").forEach((nav) => {
    const title = document.getElementById(nav.getAttribute("aria-labelledby"))?.textContent.trim();
    nav.setAttribute("aria-label", `${title} pages, ${nav.dataset.mdLevel}`);
    nav.removeAttribute("aria-labelledby");
  });
  document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code").forEach((part) => { part.tabIndex = 0; });
}
complete();
new MutationObserver(complete).observe(document.body, { childList: true, subtree: true });  // the theme adds parts later
