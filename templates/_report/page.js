"use strict";
(() => {
  // neither the figures nor the library is read before the page is painted
  const text = (id) => document.getElementById(id).textContent;
  let figures;
  const load = () => {
    if (figures) return;
    figures = JSON.parse(text("figures"));
    const library = document.createElement("script");
    library.textContent = text("library");
    document.head.append(library);
    root.dataset.loaded = performance.now();
  };
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();
  const PALETTE = ["#2f6bd8", "#b4500f", "#1b7f5c", "#8a44b8", "#a8325e", "#5c6b1e", "#1f7390", "#7a5230", "#4d55b8", "#8f3a3a"];
  // of a sheet of A4 or Letter without its margins: charts are drawn before a browser lays out the sheet
  const PAPER = "700px";
  const SMALL = "#616b7a";

  const color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const bytes = (value) => {
    for (const [step, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
      if (Math.abs(value) >= step) return `${(value / step).toFixed(1)} ${unit}`;
    }
    return `${value} B`;
  };
  const show = (value, unit) => {
    if (unit === "B") return bytes(value);
    const text = value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0 });
    return unit ? `${text} ${unit}` : text;
  };
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const tooltip = (formatter) => ({
    renderMode: "richText", confine: true, backgroundColor: color("card"), borderColor: color("line"),
    textStyle: { color: color("text"), fontSize: 12 }, formatter,
  });
  const axis = (unit) => ({
    type: "value", axisLabel: { color: color("muted"), formatter: (value) => show(value, unit), hideOverlap: true },
    splitLine: { lineStyle: { color: color("grid") } },
  });
  const names = (rows, inverse) => ({
    type: "category", data: rows, inverse, axisTick: { show: false }, axisLine: { lineStyle: { color: color("line") } },
    axisLabel: { color: color("text"), formatter: (name) => cut(name, 34), interval: inverse ? 0 : "auto" },
  });
  // bars of a logarithmic axis begin at a power of ten below the least
  const least = (data) => 10 ** Math.floor(Math.log10(Math.min(...data.series.flatMap((each) => each.values.filter((value) => value > 0)))) - 1e-9);
  const base = { animation: false, textStyle: { fontFamily: "system-ui, Liberation Sans, sans-serif" } };
  const grid = { left: 8, right: 64, top: 8, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" };

  const kinds = {
    treemap: (data) => ({
      ...base,
      tooltip: tooltip((at) => `${at.treePathInfo.slice(1).map((each) => each.name).join(" / ")}\n${bytes(at.value)}`),
      series: [{
        type: "treemap", left: 0, right: 0, top: 0, bottom: 28, roam: false, nodeClick: "zoomToNode", leafDepth: 1,
        breadcrumb: {
          show: true, bottom: 0, height: 22, left: 0,
          itemStyle: { color: color("grid"), borderWidth: 0, textStyle: { color: color("text") } },
          emphasis: { itemStyle: { color: color("line") } },
        },
        itemStyle: { borderColor: color("card"), borderWidth: 1, gapWidth: 1 },
        label: { color: "#fff", fontSize: 12, lineHeight: 15, overflow: "truncate", formatter: (at) => `${at.name}\n${bytes(at.value)}` },
        levels: [{ itemStyle: { gapWidth: 1 } }, { colorSaturation: [0.4, 0.6] }],
        name: "All packages",
        data: data.nodes.map((node) => ({
          id: `at-${node.name}`, name: node.name, itemStyle: { color: node.color < PALETTE.length ? PALETTE[node.color] : SMALL },
          value: Object.values(node.parts).reduce((sum, each) => sum + each, 0),
          children: Object.entries(node.parts).map(([name, value]) => ({
            id: `at-${node.name}-${name}`, name, value, itemStyle: { color: node.color < PALETTE.length ? PALETTE[node.color] : SMALL },
          })),
        })),
      }],
    }),
    waterfall: (data) => {
      const steps = data.steps.filter((each) => each.before !== each.after);
      const first = data.steps[0].before, last = data.steps[data.steps.length - 1].after;
      const rows = [
        { name: data.from ?? "installed", low: 0, high: first, told: bytes(first), color: color("accent") },
        ...steps.map((each) => ({
          name: each.name, low: Math.min(each.before, each.after), high: Math.max(each.before, each.after),
          told: `${each.after > each.before ? "+" : "-"}${bytes(Math.abs(each.after - each.before))}`,
          color: color(each.after > each.before ? "warm" : "good"),
        })),
        { name: data.to ?? "ships", low: 0, high: last, told: bytes(last), color: color("accent") },
      ];
      return {
        ...base, height: 60 + 26 * rows.length, grid, xAxis: axis("B"), yAxis: names(rows.map((each) => each.name), true),
        tooltip: tooltip((at) => `${at.name}\n${rows[at.dataIndex].told}`),
        series: [
          { type: "bar", stack: "size", silent: true, itemStyle: { color: "transparent" }, data: rows.map((each) => each.low) },
          {
            type: "bar", stack: "size", barCategoryGap: "30%",
            label: { show: true, position: "right", color: color("text"), formatter: (at) => rows[at.dataIndex].told },
            data: rows.map((each) => ({ value: each.high - each.low, itemStyle: { color: each.color } })),
          },
        ],
      };
    },
    bars: (data) => ({
      ...base, height: 56 + 34 * data.rows.length, grid,
      xAxis: { ...axis(data.unit), max: data.unit === "%" ? (at) => Math.max(100, at.max) : undefined },
      yAxis: names(data.rows.map((each) => each.name), true),
      tooltip: tooltip((at) => `${at.name}\n${show(at.value, data.unit)}`),
      series: [{
        type: "bar", barMaxWidth: 20,
        label: { show: true, position: "right", color: color("text"), formatter: (at) => show(at.value, data.unit) },
        data: data.rows.map((each) => ({ value: each.value, itemStyle: { color: color(data.unit === "%" && each.value > 80 ? "warm" : "accent") } })),
      }],
    }),
    costs: (data) => ({
      ...base, height: 56 + data.groups.length * (14 + 17 * data.series.length), grid: { ...grid, right: 190 },
      xAxis: { ...axis("$"), type: "log", min: least(data), startValue: least(data), axisLabel: { color: color("muted"), hideOverlap: true, formatter: (value) => `$${show(value, "")}` } },
      yAxis: names(data.groups, true),
      tooltip: tooltip((at) => `${at.seriesName}, ${at.name}\n${data.series[at.seriesIndex].told[at.dataIndex]}`),
      series: data.series.map((each, at) => ({
        type: "bar", name: each.name, barWidth: 14, barGap: "20%", itemStyle: { color: PALETTE[at % PALETTE.length] },
        label: { show: true, position: "right", color: color("text"), fontSize: 11, formatter: (bar) => `${each.told[bar.dataIndex].split(", ")[0]}  ${each.name}` },
        data: each.values.map((value) => value || null),
      })),
    }),
    counts: (data) => ({
      ...base, grid: { ...grid, right: 16, top: 24 },
      xAxis: names(data.rows.map((each) => each.name), false),
      // a single value would have no height where the axis begins at 1
      yAxis: { ...axis(""), type: "log", min: 0.5, startValue: 0.5, axisLabel: { color: color("muted"), formatter: (value) => (value < 1 ? "" : show(value, "")) } },
      tooltip: tooltip((at) => `${at.name}\n${show(at.value, "")}`),
      series: [{
        type: "bar", barMaxWidth: 72,
        label: { show: true, position: "top", color: color("text"), formatter: (at) => show(at.value, "") },
        data: data.rows.map((each, at) => ({ value: each.value || null, itemStyle: { color: color(at ? "warm" : "accent") } })),
      }],
    }),
    flame: (data, chosen = 0) => {
      // each stands before those inside of it: these begin where it does
      const next = [0];
      const spans = data.rows.map((each, at) => {
        const from = next[each.depth];
        next[each.depth] = from + each.ms;
        next[each.depth + 1] = from;
        return { ...each, at, from, to: from + each.ms };
      });
      const top = spans[chosen - 1];
      const shown = top ? spans.filter((each) => each.depth >= top.depth && each.from >= top.from && each.to <= top.to + 1e-6) : spans;
      const least = top ? top.depth : 0;
      const levels = 1 + shown.reduce((most, each) => Math.max(most, each.depth - least), 0);
      return {
        ...base, height: 40 + 19 * levels, grid: { left: 0, right: 12, top: 0, bottom: 24 },
        xAxis: { ...axis("ms"), axisLine: { show: false }, min: top ? top.from : 0, max: top ? top.to : data.most, axisLabel: { ...axis("ms").axisLabel, formatter: (value) => show(value - (top ? top.from : 0), "ms") } },
        yAxis: { type: "value", inverse: true, min: 0, max: levels, show: false },
        tooltip: tooltip((at) => `${shown[at.dataIndex].name}\n${show(shown[at.dataIndex].ms, "ms")}`),
        series: [{
          type: "custom", clip: true, encode: { x: [0, 1], y: 2 },
          data: shown.map((each) => [each.from, each.to, each.depth - least, each.at]),
          renderItem: (at, api) => {
            const each = shown[at.dataIndex], [left, y] = api.coord([api.value(0), api.value(2)]);
            const width = api.coord([api.value(1), 0])[0] - left;
            return {
              type: "rect", shape: { x: left, y, width: Math.max(width - 1, 0.5), height: 18 },
              style: { fill: PALETTE[each.color] ?? SMALL },
              textConfig: { position: "insideLeft", distance: 4 },
              textContent: width < 30 ? undefined : {
                style: { text: each.name, fill: "#fff", fontSize: 11, width: width - 8, overflow: "truncate", ellipsis: "…" },
              },
            };
          },
        }],
      };
    },
    histogram: (data, chosen = 0) => {
      const column = data.columns[chosen];
      return {
        ...base, grid: { ...grid, right: 16, top: 24 },
        xAxis: names(column.bins, false), yAxis: axis("%"),
        tooltip: tooltip((at) => `${at.name}\n${show(at.value, "%")}`),
        series: [{ type: "bar", barCategoryGap: "8%", itemStyle: { color: color("accent") }, data: column.shares.map((each) => each * 100) }],
      };
    },
  };

  const choose = (key, label, options, act) => {
    const place = document.querySelector(`[data-controls="${key}"]`);
    const outer = document.createElement("label");
    const select = document.createElement("select");
    outer.textContent = `${label} `;
    options.forEach(([value, text]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = text;
      select.append(option);
    });
    select.addEventListener("change", () => act(select.value));
    outer.append(select);
    place.replaceChildren(outer);
    return select;
  };

  const draw = (place) => {
    load();
    const key = place.dataset.chart, data = figures[key];
    const state = drawn.get(key) ?? { chosen: 0 };
    const { height, ...option } = kinds[data.kind](data, state.chosen);
    if (height) place.style.height = `${height}px`;
    if (!state.chart) {
      const label = place.getAttribute("aria-label");
      state.chart = charts.init(place, null, { renderer: "svg" });
      place.setAttribute("aria-label", label);
      drawn.set(key, state);
      if (data.kind === "treemap") {
        const select = choose(key, "Show", [["", "All packages"], ...data.nodes.map((each) => [`at-${each.name}`, each.name])], (id) => {
          state.chart.dispatchAction({ type: "treemapRootToNode", seriesIndex: 0, targetNode: id || state.top() });
        });
        state.top = () => state.chart.getModel().getSeriesByIndex(0).getData().tree.root;
        state.chart.on("treemaproottonode", () => {
          const at = state.chart.getModel().getSeriesByIndex(0).getViewRoot();
          select.value = at.getId() || "";
          if (select.selectedIndex < 0) select.value = "";
        });
      }
      if (data.kind === "flame") {
        const indent = (each) => `${"\u2003".repeat(each.depth)}${each.name}`;
        const select = choose(key, "Show", [[0, "All modules"], ...data.rows.map((each, at) => [at + 1, indent(each)])], (at) => {
          state.chosen = Number(at);
          draw(place);
        });
        state.chart.on("click", (at) => {
          const number = at.value[3] + 1;
          state.chosen = number === state.chosen ? 0 : number;
          select.value = state.chosen;
          draw(place);
        });
      }
      if (data.kind === "histogram" && data.columns.length > 1) {
        choose(key, "Column", data.columns.map((each, at) => [at, each.name]), (at) => {
          state.chosen = Number(at);
          draw(place);
        });
      }
    }
    state.chart.resize();
    state.chart.setOption(option, true);
    place.dataset.drawn = data.kind;
  };

  const places = [...document.querySelectorAll("[data-chart]")];
  const redraw = () => places.filter((each) => drawn.has(each.dataset.chart)).forEach(draw);
  const watch = new IntersectionObserver((seen) => seen.forEach((each) => {
    if (each.isIntersecting) {
      watch.unobserve(each.target);
      draw(each.target);
    }
  }), { rootMargin: "400px" });
  requestAnimationFrame(() => setTimeout(() => places.forEach((each) => watch.observe(each))));

  new ResizeObserver(() => drawn.forEach((each) => each.chart.resize())).observe(document.body);
  const theme = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const settle = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
    redraw();
  };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    settle();
  });
  dark.addEventListener("change", settle);
  settle();

  let closed = [];
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((each) => { each.open = true; });
    document.body.style.width = PAPER;
    places.forEach(draw);
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    closed.forEach((each) => { each.open = false; });
    document.body.style.width = "";
    settle();
  });
})();
