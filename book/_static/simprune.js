/* What the theme leaves for readers by keyboard or by ear: names that say what is seen, and tables that can be scrolled. */
document.addEventListener("DOMContentLoaded", () => {
  // The text in these says more than the label that stands in its place.
  document.querySelectorAll("details > summary[aria-label], .search-button-field[aria-label]")
    .forEach((named) => named.removeAttribute("aria-label"));
  // The arrow that opens the pages under a page says nothing by itself.
  document.querySelectorAll(".has-children > details > summary").forEach((arrow) => {
    arrow.setAttribute("aria-label", `Pages under ${arrow.closest("li").querySelector("a").textContent}`);
  });
  // A list may hold items only, and this one holds anchors as well.
  document.querySelectorAll(".citation-list[role=list]").forEach((list) => list.removeAttribute("role"));
  const scrollable = ".scroll, .cell_output .text_html, .pst-scrollable-table-container, div.highlight > pre";
  document.querySelectorAll(scrollable).forEach((area) => {
    if (area.scrollWidth > area.clientWidth && !area.hasAttribute("tabindex")) area.tabIndex = 0;
  });
});

// The icons of the theme switch add nothing to its name. The theme draws them some time after the page has loaded.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".theme-switch-button").forEach((button) => {
    const hush = () => [...button.children].forEach((icon) => {
      icon.querySelector("title")?.remove();
      for (const name of ["title", "role", "aria-labelledby"]) icon.removeAttribute(name);
      icon.setAttribute("aria-hidden", "true");
    });
    hush();
    new MutationObserver(hush).observe(button, { childList: true });
  });
});

/* Cells of a table that hold a phrase rather than a number may wrap. */
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("table.dataframe:not(.words) :is(td, tbody th)").forEach((cell) => {
    if (cell.textContent.trim().length > 32) cell.classList.add("phrase");
  });
});

/* Under each figure and table of numbers, a way to take it away. */
document.addEventListener("DOMContentLoaded", () => {
  const link = (text, attributes) => Object.assign(document.createElement("a"), { textContent: text, ...attributes });
  const line = (made) => {
    const paragraph = document.createElement("p");
    paragraph.className = "take-away";
    paragraph.append(made);
    return paragraph;
  };
  const page = location.pathname.split("/").pop().replace(/\.html$/, "");

  document.querySelectorAll("article figure > img, article figure > a > img, article figure .cell_output img").forEach((image) => {
    // A picture that is dragged has a link of its own.
    if (image.closest(".live")) return;
    const figure = image.closest("figure");
    // From a disk a browser opens files and downloads none.
    const made = location.protocol === "file:"
      ? link("Open this figure (PNG)", { href: image.src, target: "_blank" })
      : link("Download this figure (PNG)", { href: image.src, download: `${figure.id || page}.png` });
    figure.querySelector("figcaption")?.append(line(made));
    // On a small screen one wants to see it larger.
    if (image.closest("a")) return;
    const whole = link("", { href: image.src });
    image.replaceWith(whole);
    whole.append(image);
  });

  const field = (text) => `"${text.trim().replaceAll('"', '""')}"`;
  // The texts of a table by row and column; a cell that spans several stands in each of them.
  const texts = (table) => {
    const rows = [...table.rows].map(() => []);
    [...table.rows].forEach((row, top) => [...row.cells].forEach((cell) => {
      let left = 0;
      while (rows[top][left] !== undefined) left += 1;
      for (const below of rows.slice(top, top + cell.rowSpan)) {
        for (let right = left; right < left + cell.colSpan; right += 1) below[right] = cell.textContent;
      }
    }));
    return rows;
  };
  // The explorer has a link of its own.
  document.querySelectorAll("article .cell_output :not(#explorer-table, .verdict) > table.dataframe").forEach((table, place) => {
    const made = link("Download these numbers (CSV)", { href: "#", download: `${page}-${place + 1}.csv` });
    made.addEventListener("click", () => {
      const rows = texts(table).map((row) => row.map(field).join(","));
      made.href = URL.createObjectURL(new Blob([rows.join("\n") + "\n"], { type: "text/csv" }));
    });
    table.closest(".output")?.after(line(made));
  });
});
