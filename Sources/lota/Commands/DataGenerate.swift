public import Adaptation
public import ArgumentParser
import Checkpoints
import Foundation

extension DataCommand {
  struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make rows of a small task, to try things out with.",
      discussion: """
        Writes TASK.train.jsonl, TASK.dev.jsonl and TASK.test.jsonl; the same rows for the same seed.

        Example: lota data generate arithmetic --train 200 --dev 40 --test 60 --out rows
        """)

    @Argument(help: ArgumentHelp(SmallTask.allCases.map(\.rawValue).joined(separator: ", ") + ".", valueName: "task"))
    var task: SmallTask

    @Option(help: "Rows to train on.")
    var train = 200

    @Option(help: "Rows to choose settings by.")
    var dev = 40

    @Option(help: "Rows to report results on.")
    var test = 60

    @Option(help: "Seed.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("Directory for the files.", valueName: "dir"))
    var out: String

    func validate() throws {
      for (name, count) in [("train", train), ("dev", dev), ("test", test)] where !(1...1_000_000).contains(count) {
        throw ValidationError("--\(name) is \(count): use 1 to 1000000")
      }
    }

    func run() throws {
      let rows = try task.rows(training: train, development: dev, test: test, seed: seed)
      try FileSystem.createDirectory(out)
      for (part, rows) in [("train", rows.training), ("dev", rows.development), ("test", rows.test)] {
        let path = FileSystem.join(out, "\(task.rawValue).\(part).jsonl")
        try FileSystem.writeAtomically(try SmallTaskRows.jsonLines(rows), to: path)
        Output.result("\(path): \(rows.count) rows")
      }
    }
  }
}

extension SmallTask: ExpressibleByArgument {}
