import { render } from "preact";
import { whenIdle } from "./idle.js";
import { warmUp } from "./markdown.js";
import { keepOffline } from "./offline.js";
import { restoreChats } from "./state/chats.js";
import { restoreModel } from "./state/model.js";
import { restoreSettings } from "./state/settings.js";
import "./style/index.css";
import { App } from "./ui/App.js";

async function start(): Promise<void> {
  await Promise.all([restoreChats(), restoreSettings()]);
  const root = document.getElementById("app");
  if (root !== null) {
    render(<App />, root);
    whenIdle(warmUp);
  }
  if (isSecureContext) {
    await restoreModel();
  }
}

void start();
if (import.meta.env.PROD) {
  void keepOffline();
}
