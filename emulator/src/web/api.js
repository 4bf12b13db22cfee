// The control API. Every mistake is said on the page, in the emulator's own words.

const message = document.getElementById("message");

export async function get(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(await words(response));
  return response.json();
}

/// Asks for a change; true if it was made.
export async function send(method, path, body) {
  try {
    const response = await fetch(path, {
      method,
      headers: { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    message.textContent = response.ok ? "" : await words(response);
    return response.ok;
  } catch (error) {
    message.textContent = `The emulator does not answer: ${error.message}`;
    return false;
  }
}

async function words(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || `status ${response.status}`;
  }
}

/// Asks again and again; `step` is given what the last answer left. After an error it waits, longer each time.
export async function follow(step, state, connected) {
  let pause = 250;
  for (;;) {
    try {
      state = await step(state);
      connected(true);
      pause = 250;
    } catch {
      connected(false);
      await new Promise((done) => setTimeout(done, pause));
      pause = Math.min(pause * 2, 5000);
    }
  }
}
