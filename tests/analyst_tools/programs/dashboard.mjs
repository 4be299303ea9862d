// Opens the dashboard in a browser and prints as JSON what each chart was answered.
//
// Environment: SUPERSET_URL; CHROMIUM, the browser; PROFILE, a new folder for it; ADDRESS of the
// dashboard, with its filters; CHARTS, how many it has; PICTURE, the file for a screenshot.
import { chromium } from "playwright-core";

const { SUPERSET_URL, CHROMIUM, PROFILE, ADDRESS, CHARTS, PICTURE } = process.env;
const browser = await chromium.launchPersistentContext(PROFILE, {
  executablePath: CHROMIUM,
  headless: true,
  viewport: { width: 1600, height: 3000 },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const page = await browser.newPage();
page.setDefaultTimeout(300_000);
await page.goto(`${SUPERSET_URL}/login/`);
await page.fill("#username", "admin");
await page.fill("#password", "admin");
await page.press("#password", "Enter");
await page.waitForURL((url) => !url.pathname.startsWith("/login"));

const answers = {};
page.on("response", async (response) => {
  const url = new URL(response.url());
  if (!url.pathname.endsWith("/api/v1/chart/data")) return;
  const { slice_id: chart } = JSON.parse(url.searchParams.get("form_data") ?? "{}");
  if (chart) answers[chart] = await response.json();
});
await page.goto(`${SUPERSET_URL}${ADDRESS}`);
// A chart is drawn once it has a picture, a table or a number.
await page.waitForFunction(
  (charts) =>
    [...document.querySelectorAll(".chart-slice")].filter((chart) =>
      chart.querySelector("canvas, table, .header-line"),
    ).length === charts && !document.querySelector(".loading"),
  Number(CHARTS),
);
await page.waitForLoadState("networkidle");
await page.screenshot({ path: PICTURE });
await browser.close();
console.log(JSON.stringify(answers));
