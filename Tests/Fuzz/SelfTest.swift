import ArgumentParser
import Foundation

/// Shows that every detector works: readers with planted faults must be found out, and one without must not.
enum SelfTest {
  /// Inputs for each planted reader; the fault lies in every tenth.
  static let count = 40
  static let faulty = [7, 17, 27, 37]

  static func run() throws {
    var isSound = true
    for (reader, kind) in FuzzReader.plantedFaults {
      let campaign = Campaign(reader: reader, seed: 1, first: 0, count: count, seconds: nil, findingsFolder: nil)
      let result = try campaign.run()
      let expected = kind == nil ? [] : faulty
      let isRight =
        result.finished == count && result.findings.map(\.index) == expected
        && result.findings.allSatisfy { $0.kind == kind }
      let found = result.findings.map { "\($0.kind.rawValue) at \($0.index)" }.joined(separator: ", ")
      Report.write("\(isRight ? "ok  " : "FAIL") \(reader.name): \(found.isEmpty ? "nothing found" : found)")
      isSound = isSound && isRight
    }
    if !isSound { throw ExitCode(1) }
  }
}

extension FuzzReader {
  static var planted: [FuzzReader] { plantedFaults.map(\.reader) }

  /// Readers that are wrong on purpose, and what must be found; nil: nothing.
  static let plantedFaults: [(reader: FuzzReader, kind: Finding.Kind?)] = [
    (planted("planted-nothing") {}, nil),
    (planted("planted-trap") { _ = opaque([UInt8]())[opaque(0)] }, .crash),
    (planted("planted-loop") { while opaque(true) {} }, .hang),
    (
      planted("planted-allocation") {
        let block = [UInt8](repeating: 1, count: opaque(200_000_000))
        _ = opaque(block[block.count / 2])
      }, .allocation
    ),
    (planted("planted-error") { throw CocoaError(.coderInvalidValue) }, .error),
  ]

  private static func planted(_ name: String, _ fault: @escaping @Sendable () throws -> Void) -> FuzzReader {
    FuzzReader(name, "wrong on purpose") {
      [FuzzInput(.text, "planted")]
    } open: { _ in
      let calls = Calls()
      return { _ in
        // The first call warms up.
        calls.count += 1
        guard SelfTest.faulty.contains(calls.index()) else { return }
        try fault()
      }
    }
  }

  /// Counts a planted reader's inputs over the workers that it goes through.
  private final class Calls {
    var count = -1
    private let first =
      Int(CommandLine.arguments.firstIndex(of: "--from").map { CommandLine.arguments[$0 + 1] } ?? "0") ?? 0

    func index() -> Int { count == 0 ? -1 : first + count - 1 }
  }

  /// The value, in a way that the optimiser cannot look through.
  @inline(never)
  private static func opaque<Value>(_ value: Value) -> Value {
    withExtendedLifetime(Date()) { value }
  }
}
