// What a site bundles: the browser SDKs, where a test can reach them.
import { AnalyticsBrowser as Customerio } from "@customerio/cdp-analytics-browser";
import { jitsuAnalytics } from "@jitsu/js";
import { RudderAnalytics } from "@rudderstack/analytics-js/bundled";
import { createWrapper } from "@segment/analytics-consent-tools";
import { AnalyticsBrowser } from "@segment/analytics-next";

window.sdks = { AnalyticsBrowser, Customerio, RudderAnalytics, createWrapper, jitsuAnalytics };
