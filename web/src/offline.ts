/** Registers the service worker that keeps the page for offline use. */
import { waiting } from "./state/layout.js";

/** Without one (an old browser, a file:// page) the page works as long as there is a network. */
export async function keepOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    return;
  }
  const controlled = navigator.serviceWorker.controller !== null;
  let reloading = false;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    // The first worker takes over a page that is its own version already.
    if (controlled && !reloading) {
      reloading = true;
      location.reload();
    }
  });
  try {
    const registration = await navigator.serviceWorker.register(new URL("sw.js", document.baseURI));
    const offer = () => {
      if (registration.waiting !== null && controlled) {
        waiting.value = registration.waiting;
      }
    };
    offer();
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", offer);
    });
  } catch {
    // Storage is forbidden or full: no offline use.
  }
}
