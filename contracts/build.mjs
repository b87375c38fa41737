#!/usr/bin/env node
// Compiles StationTickets.sol into the one committed artefact, which the Python package ships.
//
//   node build.mjs           write the artefact
//   node build.mjs --check   compile and compare with the committed artefact; exit status 1 on a difference
//
// The output depends on the source, the settings below and the locked compiler only: the bytecode
// carries no metadata hash, and the sources are compiled under their bare names.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const here = dirname(fileURLToPath(import.meta.url));
const sourceName = "StationTickets.sol";
const contractName = "StationTickets";
const artefactPath = join(here, "..", "app", "steelyard", "ledger", "artefacts", "StationTickets.json");
const codeSizeLimit = 24576; // EIP-170; GoQuorum's genesis would have to raise maxCodeSizeConfig beyond it

const settings = {
  evmVersion: "berlin", // the level of GoQuorum 24.4.1: no PUSH0
  optimizer: { enabled: true, runs: 1000 },
  viaIR: true,
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

function readSources() {
  const names = readdirSync(here).filter((name) => name.endsWith(".sol")).sort();
  return Object.fromEntries(names.map((name) => [name, { content: readFileSync(join(here, name), "utf8") }]));
}

function compile(sources) {
  const input = {
    language: "Solidity",
    sources,
    settings: {
      ...settings,
      outputSelection: {
        [sourceName]: {
          [contractName]: ["abi", "devdoc", "userdoc", "evm.bytecode.object", "evm.deployedBytecode.object"],
        },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const messages = output.errors ?? [];
  for (const message of messages) console.error(message.formattedMessage);
  // A warning is a defect as well: what is compiled here decides about money.
  if (messages.length > 0) process.exit(1);
  return output.contracts[sourceName][contractName];
}

function render() {
  const sources = readSources();
  const contract = compile(sources);
  const deployed = contract.evm.deployedBytecode.object;
  if (deployed.length / 2 > codeSizeLimit) {
    console.error(`${contractName}: ${deployed.length / 2} bytes of code, more than the ${codeSizeLimit} of EIP-170`);
    process.exit(1);
  }
  const artefact = {
    contractName,
    compiler: solc.version().replace(/\.Emscripten\.clang$/, ""),
    settings,
    sourceHash: "sha256:" + createHash("sha256").update(JSON.stringify(sources)).digest("hex"),
    abi: contract.abi,
    bytecode: "0x" + contract.evm.bytecode.object,
    deployedBytecode: "0x" + deployed,
    devdoc: contract.devdoc,
    userdoc: contract.userdoc,
  };
  console.log(`${contractName}: ${deployed.length / 2} bytes of code, ${contract.evm.bytecode.object.length / 2} to deploy`);
  return JSON.stringify(artefact, null, 1) + "\n";
}

const shown = relative(process.cwd(), artefactPath);
const flags = process.argv.slice(2);
if (flags.some((flag) => flag !== "--check")) {
  console.error("usage: node build.mjs [--check]");
  process.exit(2);
}
const text = render();
if (flags.includes("--check")) {
  if (!existsSync(artefactPath) || readFileSync(artefactPath, "utf8") !== text) {
    console.error(`${shown} is not what contracts/ compiles to; run: npm run build`);
    process.exit(1);
  }
  console.log(`${shown} is what contracts/ compiles to`);
} else {
  mkdirSync(dirname(artefactPath), { recursive: true });
  writeFileSync(artefactPath, text);
  console.log(`wrote ${shown}`);
}
