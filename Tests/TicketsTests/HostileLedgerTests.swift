import Foundation
import TestSupport
import Testing
import Tickets

struct HostileLedgerTests {
  /// Their sum overflowed.
  @Test(arguments: ["9223372036854775807, \"b\": 1", "3", "-1, \"b\": 3", "1, \"b\": 1"], [2])
  func ownedWeightsAreChecked(_ counts: String, _ owned: Int) throws {
    let digest = String(repeating: "ab", count: 32)
    let directory = try TemporaryDirectory()
    let json = """
      {"format": "lota-ledger", "version": 1, "base_fingerprint": "\(digest)", "tasks": [{"name": "maths", "owned": \(owned),
      "configuration_sha256": "\(digest)", "tensors": {"a": \(counts)}}]}
      """
    try Data(json.utf8).write(to: URL(fileURLWithPath: directory("lota-ledger.json")))
    if counts == "1, \"b\": 1" {
      #expect(try TicketLedger(directory: directory.path)?.tasks.count == 1)
    } else {
      let error = try #require(throws: TicketsError.self) { try TicketLedger(directory: directory.path) }
      #expect("\(error)".contains("task maths does not own 2 weights in its tensors"))
    }
  }
}
