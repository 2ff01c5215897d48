-- Debian's miltertest as the MTA of the sample filter (examples/sample.ts).
--
--     miltertest -D socket=unix:/path -s sample.lua
--
-- The filter must run already. Each case that went well is named on stdout, and what went wrong; that ends the script,
-- and miltertest with a status other than 0.

local HOST = "mta.example"

-- miltertest keeps the texts of errors to itself.
local function fail(text)
  mt.echo("not ok: line " .. debug.getinfo(3, "l").currentline .. ": " .. text)
  error(text, 3)
end

local function check(what, outcome)
  if outcome ~= nil then
    fail(what .. ": " .. tostring(outcome))
  end
end

local function expect(what, holds)
  if not holds then
    fail("expected " .. what)
  end
end

local function replied(conn, reply, name)
  local got = mt.getreply(conn)
  if got ~= reply then
    fail("expected " .. name .. ", got " .. tostring(got))
  end
end

-- A session up to and with HELO. The sample wants no reply of connect and helo.
local function open()
  local conn = mt.connect(socket)
  expect("a connection to " .. socket, conn ~= nil)
  check("negotiate", mt.negotiate(conn, nil, nil, nil))
  mt.macro(conn, SMFIC_CONNECT, "j", HOST, "{daemon_name}", "miltertest")
  check("connect", mt.conninfo(conn, "client.example", "192.0.2.1"))
  check("helo", mt.helo(conn, "client.example"))
  return conn
end

local function envelope(conn, recipient)
  mt.macro(conn, SMFIC_MAIL, "i", "TEST123", "{auth_authen}", "alice")
  check("mail", mt.mailfrom(conn, "<alice@client.example>", "SIZE=100"))
  replied(conn, SMFIR_CONTINUE, "CONTINUE for MAIL")
  check("rcpt", mt.rcptto(conn, recipient or "<bob@example.com>"))
end

local function headers(conn, list)
  for _, header in ipairs(list) do
    check("header " .. header[1], mt.header(conn, header[1], header[2]))
  end
  check("eoh", mt.eoh(conn))
end

-- A whole message in a session of its own, up to the end of message; the caller looks at the outcome.
local function message(list, body)
  local conn = open()
  envelope(conn)
  replied(conn, SMFIR_CONTINUE, "CONTINUE for RCPT")
  headers(conn, list)
  for _, chunk in ipairs(body) do
    check("body", mt.bodystring(conn, chunk))
    replied(conn, SMFIR_CONTINUE, "CONTINUE for body")
  end
  check("eom", mt.eom(conn))
  return conn
end

local function unchanged(conn)
  for name, op in pairs({
    ["a header added"] = MT_HDRADD,
    ["a header changed"] = MT_HDRCHANGE,
    ["a header deleted"] = MT_HDRDELETE,
    ["a header inserted"] = MT_HDRINSERT,
    ["another body"] = MT_BODYCHANGE,
    ["a quarantine"] = MT_QUARANTINE,
  }) do
    expect("no sign of " .. name, not mt.eom_check(conn, op))
  end
end

local function done(conn, title)
  mt.disconnect(conn)
  mt.echo("ok: " .. title)
end

-- What the filter negotiates: no more rights than it uses, steps without a handler left out.
do
  local conn = open()
  expect("the right to change the body", mt.test_action(conn, SMFIF_CHGBODY))
  expect("the right to change headers", mt.test_action(conn, SMFIF_CHGHDRS))
  expect("no right to add recipients", not mt.test_action(conn, SMFIF_ADDRCPT))
  expect("no DATA step", mt.test_option(conn, SMFIP_NODATA))
  expect("no step for unknown commands", mt.test_option(conn, SMFIP_NOUNKNOWN))
  expect("headers", not mt.test_option(conn, SMFIP_NOHDRS))
  expect("headers without reply", mt.test_option(conn, SMFIP_NR_HDR))
  done(conn, "negotiation")
end

do
  local conn = message({ { "Subject", "Lunch" }, { "Message-ID", "<1@client.example>" } }, { "At noon?\r\n" })
  replied(conn, SMFIR_ACCEPT, "ACCEPT")
  unchanged(conn)
  done(conn, "a clean message is accepted as it is")
end

for _, subject in ipairs({ "FREE money", "Buy vIaGrA", "=?utf-8?Q?ADV=3A_something?=" }) do
  local conn = message({ { "Subject", subject } }, { "Click here.\r\n" })
  expect(
    "the refusal of " .. subject,
    mt.eom_check(conn, MT_SMTPREPLY, "550", "5.7.1", "that subject is typical of spam")
  )
  unchanged(conn)
  done(conn, "refused: Subject: " .. subject)
end

for _, case in ipairs({
  { "Subject", "=?big5?B?pKSk5Q==?=", "we cannot read big5 in a subject" },
  { "Message-ID", "<>", "the Message-ID is malformed" },
  { "X-Mailer", "Direct Email", "that mailer sends bulk mail only" },
}) do
  local name, value, text = case[1], case[2], case[3]
  local conn = message({ { name, value } }, {})
  expect("the refusal of that " .. name, mt.eom_check(conn, MT_SMTPREPLY, "550", "5.7.1", text))
  done(conn, "refused: " .. name .. ": " .. value)
end

-- The filter holds a message against nobody but itself: the next one of the session is another.
do
  local conn = message({ { "Subject", "FREE money" } }, { "Click here.\r\n" })
  expect("a refusal", mt.getreply(conn) == SMFIR_REPLYCODE)
  envelope(conn)
  replied(conn, SMFIR_CONTINUE, "CONTINUE for RCPT")
  headers(conn, { { "Subject", "Lunch" } })
  check("body", mt.bodystring(conn, "At noon?\r\n"))
  check("eom", mt.eom(conn))
  replied(conn, SMFIR_ACCEPT, "ACCEPT")
  unchanged(conn)
  done(conn, "a session goes on after a refusal")
end

for _, recipient in ipairs({ "<MAILER-DAEMON@example.com>", "mailer-daemon" }) do
  local conn = open()
  envelope(conn, recipient)
  replied(conn, SMFIR_DISCARD, "DISCARD")
  done(conn, "discarded: mail to " .. recipient)
end

do
  local boundary = "--in-between\r\n"
  local text = "Content-Type: text/plain\r\n\r\nLook at this.\r\n"
  local file = "Content-Type: application/octet-stream\r\n"
    .. 'Content-Disposition: attachment; filename="Invoice.EXE"\r\n'
    .. "Content-Transfer-Encoding: base64\r\n\r\n"
  local conn = message(
    { { "Subject", "invoice" }, { "MIME-Version", "1.0" }, { "Content-Type", "multipart/mixed; boundary=in-between" } },
    { boundary .. text .. boundary .. file, "TVqQAAMAAAAEAAAA\r\n", "--in-between--\r\n" }
  )
  replied(conn, SMFIR_ACCEPT, "ACCEPT")
  expect("another body", mt.eom_check(conn, MT_BODYCHANGE))
  expect("no other headers", not mt.eom_check(conn, MT_HDRCHANGE) and not mt.eom_check(conn, MT_HDRADD))
  expect(
    "the warning",
    mt.eom_check(
      conn,
      MT_BODYCHANGE,
      'The attachment "Invoice.EXE" was removed by the mail filter of ' .. HOST .. ",\r\n"
        .. "because files of this kind can harm the computer they are opened on.\r\n"
        .. "If you expected it, ask the sender for it in another way.\r\n"
    )
  )
  expect("not the file", not mt.eom_check(conn, MT_BODYCHANGE, "TVqQAAMAAAAEAAAA\r\n"))
  done(conn, "a dangerous attachment is replaced")
end

do
  local conn = message({
    { "Content-Type", 'application/octet-stream; name="run.pif"' },
    { "Content-Transfer-Encoding", "base64" },
  }, { "TVqQAAMAAAAEAAAA\r\n" })
  replied(conn, SMFIR_ACCEPT, "ACCEPT")
  expect(
    "the warning's type",
    mt.eom_check(conn, MT_HDRCHANGE, "Content-Type", 'text/plain; charset=utf-8; name="WARNING.TXT"')
  )
  expect(
    "the warning's name",
    mt.eom_check(conn, MT_HDRADD, "Content-Disposition", 'inline; filename="WARNING.TXT"')
  )
  done(conn, "a message that is a dangerous file is replaced")
end

do
  local conn = open()
  envelope(conn)
  check("abort", mt.abort(conn))
  envelope(conn)
  headers(conn, { { "Subject", "Lunch" } })
  mt.disconnect(conn, false)
  mt.echo("ok: an aborted message, and a connection that breaks")
end
