// What all walks share: the browser, the steps that are reported, and what every page must be, whatever it shows.
import { chromium } from "playwright-core";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";

export const errand = JSON.parse(fs.readFileSync(0, "utf8"));
export const ids = errand.ids ?? {};

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const axeRules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const maxTransfer = 50 * 1024; // bytes of one page with all that it loads, compressed (UI-8)
const maxShift = 0.01; // of the cumulative layout shift of a page that was opened; 0.1 is called good
const maxAnswerShift = 0.05; // where an answer came into a page in place, seconds after it was asked for

// The ways a page is looked at.
export const modes = [
  { name: "light", viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  { name: "dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  { name: "narrow", viewport: { width: 360, height: 780 }, colorScheme: "light" },
];

let failed = false;
const complaints = []; // of pages: errors in the console, violations of the policy

const report = (name, problem) => process.stdout.write(`${JSON.stringify({ name, problem })}\n`);

// expect fails the step if what was seen is not so.
export const expect = (condition, message) => {
  if (!condition) throw new Error(message);
};

// expectText fails the step unless the page, or a part of it, comes to show a text.
export const expectText = async (page, text, part = "main", timeout = 8000) => {
  await page.locator(part).filter({ hasText: text }).first().waitFor({ timeout }).catch(async () => {
    throw new Error(`${page.url()} does not show ${JSON.stringify(text)}:\n${await page.locator("main").innerText()}`);
  });
};

// launch starts the browser, with one that is not root a sandbox.
export const launch = () => {
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  if (errand.resolve) args.push(`--host-resolver-rules=${errand.resolve}`);
  return chromium.launch({ executablePath: errand.chromium, args });
};

// person opens a browser profile of its own, whose pages are listened to.
export const person = async (browser, options = {}) => {
  const context = await browser.newContext({ baseURL: errand.url, ...modes[0], reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(10000);
  if (options.javaScriptEnabled === false) return context;
  await context.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  const foreign = (page) => /^https?:/.test(page?.url()) && !page.url().startsWith(errand.url); // a provider's, whose dress is no matter of ours
  context.on("console", (message) => {
    if (foreign(message.page())) return;
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.page()?.url()}: ${message.type()}: ${message.text()}`);
  });
  context.on("weberror", (error) => complaints.push(`${error.page()?.url()}: ${error.error()}`));
  return context;
};

// signIn does it by hand.
export const signIn = async (context, key = errand.key) => {
  const page = await context.newPage();
  await page.goto("/");
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  return page;
};

// provoked waits for a complaint that must come: browsers report what a page complains of some time after it has.
const provoked = async (pattern, timeout = 10000) => {
  for (const end = Date.now() + timeout; Date.now() < end; await delay(20)) {
    if (complaints.some((complaint) => pattern.test(complaint))) return "";
  }
  return `no page complained of ${pattern}`;
};

// step does one thing and reports how it went; what pages complained of meanwhile is a failure, but for what the step provokes.
export const step = async (name, act, { provokes } = {}) => {
  let problem = "";
  try {
    await act();
  } catch (error) {
    problem = String(error.message ?? error);
  }
  if (provokes && !problem) problem = await provoked(provokes);
  const unexpected = complaints.splice(0).filter((complaint) => !provokes?.test(complaint));
  if (unexpected.length > 0) problem += `\npages complained:\n${unexpected.join("\n")}`;
  if (problem) failed = true;
  report(name, problem.trim());
  return !problem;
};

// walk does steps that build on each other: after one that failed, no other is tried, and a picture shows why.
export const walk = async (page, steps) => {
  for (const [name, act, options] of steps) {
    if (await step(name, act, options)) continue;
    await picture(page, "failed");
    return;
  }
};

// end closes the browser. A failed step was reported already, so that leaving is no failure of its own.
export const end = (browser) => browser.close();

// picture keeps what a page looks like.
export const picture = async (page, name, mode = { name: "light" }) => {
  await page.screenshot({ path: path.join(errand.artefacts, `${name}-${mode.name}.png`), fullPage: true, animations: "disabled" });
  // The driver hides the caret while it takes a picture, and leaves an empty attribute, which htmx would copy against the page's policy.
  await page.evaluate(() => document.querySelectorAll('[style=""]').forEach((element) => element.removeAttribute("style")));
};

// overhang is by how many pixels a page is wider than its window.
export const overhang = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// cutOff lists what a page shows only in part at a width of its window: parts outside of it, and boxes that hold more than they show. Text fields scroll by nature, and code with a
// tabindex can be scrolled with the keyboard.
export const cutOff = (page) => page.evaluate(() => {
  const described = (element) => `<${element.tagName.toLowerCase()} class="${element.className}">: ${element.textContent.trim().slice(0, 60)}`;
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    if (element.closest("svg, .hidden-label, .skip, input, textarea, select, pre[tabindex]") || !element.checkVisibility()) continue;
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) continue;
    if (box.left < -1 || box.right > document.documentElement.clientWidth + 1) found.push(`${described(element)} lies outside`);
    if (getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1) found.push(`${described(element)} is cut by ${element.scrollWidth - element.clientWidth} px`);
  }
  return found;
});

// smallTargets lists what is too small for a finger. Links in the middle of text are exempt, as in WCAG 2.5.5.
export const smallTargets = (page) => page.evaluate(() => {
  const targets = [...document.querySelectorAll("button, .button, input:not([type=hidden]), select, textarea, summary, nav a, td a.name, .choices a")];
  const hit = (element) => (["checkbox", "radio"].includes(element.type) ? element.labels[0] : element); // a click on its label counts
  return targets.map(hit).filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 43.5)
    .map((element) => `<${element.tagName.toLowerCase()} id="${element.id}"> ${element.textContent.trim().slice(0, 40)} is ${Math.round(element.getBoundingClientRect().height)} px high`);
});

// judge lists what is wrong with the page as it stands.
export const judge = async (page, shift = maxShift) => {
  const measured = await page.evaluate(() => ({
    shifted: window.shifted,
    loaded: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource").filter((entry) => entry.initiatorType !== "xmlhttprequest")]
      .reduce((sum, entry) => sum + entry.encodedBodySize + 300, 0), // 300: the headers, as browsers count them
  }));
  const wrong = [];
  const wide = await overhang(page);
  if (wide > 0) wrong.push(`it scrolls sideways by ${wide} px`);
  if (measured.shifted > shift) wrong.push(`its layout shifted by ${measured.shifted}`);
  if (measured.loaded > maxTransfer) wrong.push(`it loads ${measured.loaded} bytes`);
  return [...wrong, ...(await inaccessible(page))];
};

// inaccessible lists the violations that axe finds. The page's policy forbids eval, so the rules come in through the debugger.
export const inaccessible = async (page) => {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  await session.detach();
  const violations = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules, resultTypes: ["violations"] }).then((result) => result.violations), axeRules);
  return violations.map((violation) => `${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
};

// look judges the page in every mode and keeps a picture of each.
export const look = async (page, name) => {
  const wrong = [];
  for (const mode of modes) {
    await page.setViewportSize(mode.viewport);
    await page.emulateMedia({ colorScheme: mode.colorScheme });
    wrong.push(...(await judge(page, maxAnswerShift)).map((problem) => `${mode.name}: ${problem}`));
    await picture(page, name, mode);
  }
  await page.setViewportSize(modes[0].viewport);
  await page.emulateMedia({ colorScheme: modes[0].colorScheme });
  expect(wrong.length === 0, `${page.url()}\n${wrong.join("\n")}`);
};
