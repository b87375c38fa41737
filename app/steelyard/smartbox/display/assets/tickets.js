// The last tickets, and where each is on its way to the ledger.

import { at, make, write } from "./page.js";
import { kilograms, knows, moment, say, spoken } from "./texts.js";

/** Show tickets as the SmartBox tells them; `bridgeOf` gives a scale's weighbridge. */
export function showTickets({ tickets, counts, error }, bridgeOf) {
  const text = error ? say("tickets.unreadable", { text: error })
    : counts.waiting || counts.refused ? say("tickets.counts", counts) : "";
  write(at("ticket-counts"), text);
  const rows = tickets.map((entry) => row(entry, bridgeOf));
  if (rows.length === 0) rows.push(make("tr", {}, make("td", { colspan: 7 }, say("tickets.none"))));
  at("ticket-rows").replaceChildren(...rows);
}

function row({ ticket, state, receipt, problem, settled }, bridgeOf) {
  const link = make("a", {
    href: `/display/tickets/${ticket.ticketID}?lang=${spoken()}`,
    "aria-label": say("tickets.print", { id: ticket.ticketID }),
  }, moment(ticket.timestamp));
  const cells = [ticket.scaleGross, ticket.scaleTare, ticket.scaleNet].map((grams) =>
    make("td", { class: "weight" }, kilograms(grams)));
  const scale = bridgeOf(ticket.scaleSerialNumber);
  const status = ticket.scaleStatus === "ok" ? ""
    : knows(`status.${ticket.scaleStatus}`) ? say(`status.${ticket.scaleStatus}`) : ticket.scaleStatus;
  return make("tr", { class: state }, make("td", {}, link), make("td", {}, scale),
    make("td", { class: "vehicle" }, ticket.vehicle ?? "\u2013"), ...cells,
    make("td", {}, way(state, receipt, problem, settled), ...(status ? [make("strong", {}, status)] : [])));
}

function way(state, receipt, problem, settled) {
  const parts = [make("span", { class: "way" }, say(`ledger.${state}`))];
  if (receipt) {
    parts.push(make("span", {}, say("ledger.block", { block: receipt.blockNumber })),
      make("code", { title: receipt.transactionHash }, short(receipt.transactionHash)));
  }
  if (problem) parts.push(make("span", {}, String(problem.detail ?? problem.title ?? "")));
  if (settled) parts.push(make("span", {}, say("ledger.settled", { text: settled })));
  return make("div", { class: "ledger" }, ...parts);
}

const short = (hash) => `${hash.slice(0, 10)}…${hash.slice(-6)}`;
