(() => {
  const by = (id) => document.getElementById(id);
  const meta = (name) => document.querySelector(`meta[name="vedette-${name}"]`)?.content ?? "";
  const dialog = by("act");
  const acts = {
    switchover: {
      title: (group) => `Switch ${group} over`,
      text: "Writes pause for a moment, the new master gets all of them, then it takes over. Nothing is lost; if it cannot be done in time, the old master goes on.",
      go: "Switch over",
      ask: ["to"],
    },
    pause: {
      title: (group) => `Maintenance of ${group}`,
      text: "No automatic failover of this group until the time is over or somebody resumes it.",
      go: "Begin maintenance",
      ask: ["for", "reason"],
    },
    resume: {
      title: (group) => `End the maintenance of ${group}`,
      text: "Automatic failovers are possible again at once.",
      go: "End maintenance",
      ask: [],
    },
    acknowledge: {
      title: (group) => `Acknowledge the failovers of ${group}`,
      text: "You know what happened and it is dealt with: the next failure is answered at once again.",
      go: "Acknowledge",
      ask: [],
    },
    "acknowledge-fleet": {
      title: () => "Let failovers go on",
      text: "Many groups lost their masters together, so automatic failovers are held. Acknowledge when you know that the machines are gone and not the network.",
      go: "Let them go on",
      ask: [],
    },
  };
  // Kept in this page's memory alone: a reload asks again.
  let login = null;
  let wanted = null;

  const say = (text) => {
    by("said").textContent = text;
    by("said").hidden = false;
    setTimeout(() => { by("said").hidden = true; }, 8000);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button) return;
    const act = acts[button.dataset.act];
    const card = button.closest(".group");
    const group = card?.querySelector("h2")?.textContent ?? "";
    wanted = { name: button.dataset.act, group };
    by("act-title").textContent = act.title(group);
    by("act-text").textContent = act.text;
    by("act-go").textContent = act.go;
    for (const part of ["to", "for", "reason"]) by(`act-${part}-row`).hidden = !act.ask.includes(part);
    by("act-to").replaceChildren(new Option("the most suitable replica", ""));
    for (const node of card ? card.querySelectorAll(".node.replica") : []) {
      const address = node.querySelector(".address").textContent;
      const state = node.querySelector(".state").textContent;
      by("act-to").append(new Option(`${address} (${state})`, address));
    }
    by("act-reason").value = "";
    by("act-login").hidden = login !== null || meta("user") !== "";
    by("act-said").textContent = "";
    by("act-go").disabled = false;
    dialog.showModal();
  });

  by("act-cancel").addEventListener("click", () => dialog.close());

  const credentials = () => {
    if (login === null && meta("user") === "") {
      const text = new TextEncoder().encode(`${by("act-user").value}:${by("act-secret").value}`);
      return `Basic ${btoa(String.fromCharCode(...text))}`;
    }
    return login;
  };

  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const authorization = credentials();
    const query = new URLSearchParams();
    const ask = acts[wanted.name].ask;
    if (ask.includes("to") && by("act-to").value) query.set("to", by("act-to").value);
    if (ask.includes("for")) query.set("seconds", by("act-for").value);
    if (ask.includes("reason") && by("act-reason").value) query.set("reason", by("act-reason").value);
    const place = wanted.group ? `groups/${encodeURIComponent(wanted.group)}` : "fleet";
    const action = wanted.name.replace("-fleet", "");
    by("act-go").disabled = true;
    by("act-said").textContent = "Asking the leader\u2026";
    try {
      const headers = { "X-Vedette-Token": meta("token") };
      if (authorization) headers.Authorization = authorization;
      const response = await fetch(`/api/v1/${place}/${action}?${query}`, {
        method: "POST",
        headers,
        // A login of our own; the browser's must not be asked for in the middle of it.
        credentials: authorization ? "omit" : "same-origin",
      });
      const body = await response.json().catch(() => ({ error: `answered ${response.status}` }));
      if (response.status === 401) login = null;
      if (!response.ok) throw new Error(body.error ?? body.reason ?? `answered ${response.status}`);
      login = authorization;
      by("act-secret").value = "";
      dialog.close();
      say(`${by("act-go").textContent}: agreed.`);
    } catch (error) {
      by("act-login").hidden = login !== null || meta("user") !== "";
      by("act-said").textContent = error.message;
      by("act-go").disabled = false;
    }
  });
})();
