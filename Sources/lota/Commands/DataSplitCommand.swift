import Adaptation
import ArgumentParser
import Checkpoints
import Foundation

extension DataCommand {
  struct Split: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Split a file of rows at random into parts.",
      discussion: """
        Equal rows stay on one side. The same file, parts and seed give the same split.
        Rows are written as they are, in the file's order; those in no part are counted.

        Example: lota data split --from rows.jsonl --out-dir data --part train=1000 --part test=300
        """)

    @Option(help: ArgumentHelp("Rows of any form: JSON Lines, or one JSON array.", valueName: "file"))
    var from: String

    @Option(help: ArgumentHelp("Directory to write the parts to, each as NAME.jsonl.", valueName: "dir"))
    var outDir: String

    @Option(name: .customLong("part"), help: ArgumentHelp("A part's name and number of rows.", valueName: "name=rows"))
    var parts: [String]

    @Option(help: "Seed of the draw.")
    var seed: UInt64 = 0

    @Flag(help: "Replace existing files.")
    var overwrite = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
      for part in parts where DataSplit.Part(part) == nil {
        throw ValidationError("--part is '\(part)': use a file name's letters and a number above 0, as train=1000")
      }
      guard Set(parts.compactMap { DataSplit.Part($0)?.name }).count == parts.count else {
        throw ValidationError("--part names a part twice")
      }
    }

    func run() throws {
      let parts = parts.compactMap { DataSplit.Part($0) }
      let paths = parts.map { FileSystem.join(outDir, $0.name + ".jsonl") }
      if !overwrite, let path = paths.first(where: FileSystem.exists) { throw CheckpointError.outputExists(path: path) }
      let split = try DataSplit(path: from, parts: parts, seed: seed)
      try FileSystem.createDirectory(outDir)
      for (path, content) in zip(paths, split.contents) {
        try FileSystem.writeAtomically(Data(content.bytes), to: path)
      }
      if json {
        try Output.json(SplitFigures(split))
      } else {
        for (path, part) in zip(paths, parts) { Output.result("\(path): \(part.rows) rows") }
        Output.result(
          "of \(split.total) rows, \(split.remainder) are in no part; \(split.duplicates) equal an earlier one")
      }
    }
  }
}

private struct SplitFigures: Encodable {
  let rows: Int
  let duplicates: Int
  let remainder: Int
  let parts: [String: Int]

  init(_ split: DataSplit) {
    rows = split.total
    duplicates = split.duplicates
    remainder = split.remainder
    parts = Dictionary(uniqueKeysWithValues: split.contents.map { ($0.part.name, $0.part.rows) })
  }
}
