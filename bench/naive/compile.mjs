#!/usr/bin/env node
// Compiles NaiveTickets.sol with the locked compiler of contracts/ and writes {abi, bytecode} to the standard output.
//
//   node compile.mjs
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(new URL("../../contracts/package.json", import.meta.url))("solc");
const sourceName = "NaiveTickets.sol";
const source = (path) => ({ content: readFileSync(new URL(path, import.meta.url), "utf8") });
const input = {
  language: "Solidity",
  // The tickets are the station contract's; what is done with them is not.
  sources: { [sourceName]: source(sourceName), "Ticket.sol": source("../../contracts/Ticket.sol") },
  settings: {
    evmVersion: "berlin", // the level of GoQuorum 24.4.1
    optimizer: { enabled: true, runs: 1000 }, // as contracts/build.mjs has it: no handicap
    viaIR: true,
    outputSelection: { [sourceName]: { NaiveTickets: ["abi", "evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const message of output.errors ?? []) console.error(message.formattedMessage);
if (output.errors?.length > 0) process.exit(1);
const contract = output.contracts[sourceName].NaiveTickets;
process.stdout.write(JSON.stringify({ abi: contract.abi, bytecode: "0x" + contract.evm.bytecode.object }));
