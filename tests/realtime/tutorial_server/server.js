// A server as someone wrote it who followed a tutorial for a hosted platform: one half takes the webhooks
// of calls, the other lets the platform answer inbound calls. Only hosts and keys are offhook's.
const crypto = require("crypto");
const express = require("express");

const { PLATFORM, STREAMS, API_KEY, SECRET, ASSISTANT } = process.env;
const sessions = new Map();
const app = express();
app.use(express.json({ limit: "5mb" }));
app.use(express.urlencoded({ extended: false }));

const tell = (what, more) => console.log(JSON.stringify({ what, ...more }));

function verified(req) {
  const expected = crypto.createHmac("sha256", SECRET).update(JSON.stringify(req.body)).digest("hex");
  const given = req.headers["x-vapi-signature"] || "";
  return given.length === expected.length && crypto.timingSafeEqual(Buffer.from(given), Buffer.from(expected));
}

function sessionOf(message) {
  const id = message.call.id;
  if (!sessions.has(id)) sessions.set(id, { id, isProcessing: false, transcript: [] });
  return sessions.get(id);
}

async function lookUp({ order_number: order }) {
  await new Promise((done) => setTimeout(done, 150));
  if (order !== "12345") return { error: "unknown order", fallback: "I cannot find that order, sorry." };
  return { result: { status: "is out for delivery", arrival: "It arrives today." } };
}

app.post("/webhook", async (req, res) => {
  if (!verified(req)) {
    tell("forged");
    return res.status(401).json({ error: "Invalid signature" });
  }
  const { message } = req.body;
  const session = sessionOf(message);
  tell(message.type, { call: session.id, busy: session.isProcessing });
  if (message.type === "function-call") {
    if (session.isProcessing) return res.status(429).json({ received: true });
    session.isProcessing = true;
    try {
      return res.json(await lookUp(message.functionCall.parameters));
    } finally {
      session.isProcessing = false;
    }
  }
  if (message.type === "transcript" && message.transcriptType === "final") {
    session.transcript.push(`${message.role}: ${message.transcript}`);
    // The tutorial's slow work on what was said; meanwhile the session is busy.
    session.isProcessing = true;
    setTimeout(() => (session.isProcessing = false), 400);
  }
  if (message.type === "end-of-call-report") {
    tell("over", { call: session.id, transcript: session.transcript, report: message });
    sessions.delete(session.id);
  }
  res.json({ received: true });
});

app.post("/incoming", async (req, res) => {
  const answer = await fetch(`${PLATFORM}/assistant`, {
    method: "POST",
    headers: { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" },
    body: ASSISTANT,
  });
  const { id } = await answer.json();
  tell("incoming", { call: req.body.CallSid, status: answer.status });
  res.type("text/xml").send(
    `<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="${STREAMS}/ws/${id}"/></Connect></Response>`,
  );
});

const server = app.listen(Number(process.env.PORT || 0), "127.0.0.1", () => console.log(server.address().port));
