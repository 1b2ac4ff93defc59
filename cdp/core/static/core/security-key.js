// Asks the browser for a security key, to add it or to prove with it; what the key answers goes with the form.
(() => {
  const start = () => {
    const options = document.getElementById("key-options");
    const fault = document.getElementById("key-fault");
    const ask = (button, act) => {
      if (!button || !options) return;
      button.addEventListener("click", async () => {
        fault.textContent = "";
        try {
          const answer = await act(JSON.parse(options.textContent));
          const form = button.closest("form");
          form.elements.credential.value = JSON.stringify(answer);
          form.submit();
        } catch (error) {
          fault.textContent = "The key was not used: " + (error.message || error.name);
        }
      });
    };
    ask(document.getElementById("add-key"), (given) => window.webauthnJSON.create(given.creation_options));
    ask(document.getElementById("use-key"), (given) => window.webauthnJSON.get(given.request_options));
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
