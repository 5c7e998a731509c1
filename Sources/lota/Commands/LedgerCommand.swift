import Adaptation
import ArgumentParser
import Checkpoints
import Tickets

struct LedgerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ledger", abstract: "Which tasks a model directory holds: add, show, remove and verify them.",
    discussion: """
      The directory's weights are the base's and those of its tasks, whose tickets share no weight. lota-ledger.json in it
      says which weights each task owns; a copy of every adapter lies under lota-tasks.
      """,
    subcommands: [Show.self, Add.self, Remove.self, Verify.self])

  fileprivate static func figures(_ ledger: TicketLedger, _ directory: String) throws -> LedgerFigures {
    let model = try Checkpoint(directory: directory)
    return LedgerFigures(ledger, shapes: try MaskCommand.shapes(of: model.tensors.map(\.name), in: model))
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The tasks, and which share of the weights each owns.",
      discussion: "Example: lota ledger show --model models/team --layers")

    @Option(help: ArgumentHelp("Model directory.", valueName: "dir")) var model: String
    @Flag(help: "Also each task's share by layer and projection.") var layers = false
    @Flag(help: "Print one JSON object, with shares by layer and projection.") var json = false

    func run() throws {
      guard let ledger = try TicketLedger(directory: model) else {
        throw TicketsError.ledgerMissing(directory: model)
      }
      let figures = try LedgerCommand.figures(ledger, model)
      if json { try Output.json(figures) } else { Output.result(figures.text(layers: layers)) }
    }
  }

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Add an adapter's task to the model: its weights, a copy of the adapter, its line in the ledger.",
      discussion: """
        Refuses an adapter that shares a weight with a task, or was trained on another base. The first one makes the ledger;
        the model directory is changed in place, so begin with a copy of the base.

        Example: lota ledger add --model models/team --adapter runs/sql/adapter
        """)

    @Option(help: ArgumentHelp("Model directory, changed in place.", valueName: "dir")) var model: String
    @Option(help: ArgumentHelp("Adapter directory.", valueName: "dir")) var adapter: String
    @Option(help: "Name of the task. Default: from the adapter's directory, runs/sql/adapter is sql.") var name: String?

    func run() throws {
      let opened = try Adapter(directory: adapter)
      let ledger = try TicketLedger.add(opened, as: name ?? AdapterReference(adapter).name, to: model)
      Output.result(try LedgerCommand.figures(ledger, model).text(layers: false))
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a task out: its weights return to the base's, bit for bit, and only they.",
      discussion: "Example: lota ledger remove --model models/team --name sql")

    @Option(help: ArgumentHelp("Model directory, changed in place.", valueName: "dir")) var model: String
    @Option(help: "Name of the task.") var name: String

    func run() throws {
      let ledger = try TicketLedger.remove(name, from: model)
      Output.result(try LedgerCommand.figures(ledger, model).text(layers: false))
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check that the model is its base and its tasks, and nothing else.",
      discussion: "Example: lota ledger verify --model models/team")

    @Option(help: ArgumentHelp("Model directory.", valueName: "dir")) var model: String

    func run() throws {
      let ledger = try TicketLedger.verify(model)
      let count = ledger.tasks.count == 1 ? "1 task" : "\(ledger.tasks.count) tasks"
      Output.result("\(model) is the base \(ledger.baseFingerprint.prefix(12)) and \(count), bit for bit")
    }
  }
}
