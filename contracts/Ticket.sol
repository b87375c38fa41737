// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// The words that a station's contract and its callers share. Weights are grams, times are
// milliseconds since 1970-01-01T00:00:00Z, texts are UTF-8, left-aligned and zero-padded.

uint256 constant MAX_CELLS = 32;
uint256 constant MAX_ID_BYTES = 96;
uint256 constant MAX_BATCH = 200;
uint256 constant MAX_PAGE = 500;
uint256 constant MAX_TIMESTAMP = 253_402_300_799_999; // 9999-12-31T23:59:59.999Z
int64 constant MAX_GRAMS = type(int32).max;
int64 constant MIN_GRAMS = type(int32).min;

/// What one load cell carried, in grams; negative where a corner lifts.
struct Cell {
    bytes32 serial;
    int64 weight;
}

/// One weighing. gross - tare == net; a zero vehicle means that none was given.
struct Ticket {
    string id;
    bytes32 terminalSerial;
    uint32 terminalRestart;
    uint64 timestamp;
    bytes32 scaleSerial;
    bytes32 status;
    int64 gross;
    int64 tare;
    int64 net;
    bytes32 vehicle;
    Cell[] cells;
}

/// A ticket as it is held: `index` counts from 1 in the order of registration.
struct Entry {
    Ticket ticket;
    uint64 index;
    uint64 blockNumber;
}

/// What a query asks for: every member must hold. An empty text means any; ranges include both
/// ends, and an open end is the least or the greatest value of the type. The cell's serial and
/// range hold together on one and the same cell.
struct Filter {
    string id;
    bytes32 terminalSerial;
    uint32 restartFrom;
    uint32 restartTo;
    uint64 timestampFrom;
    uint64 timestampTo;
    bytes32 scaleSerial;
    bytes32 status;
    bytes32 vehicle;
    int64 grossFrom;
    int64 grossTo;
    int64 tareFrom;
    int64 tareTo;
    int64 netFrom;
    int64 netTo;
    bytes32 cellSerial;
    int64 cellWeightFrom;
    int64 cellWeightTo;
    bool newestFirst;
}
