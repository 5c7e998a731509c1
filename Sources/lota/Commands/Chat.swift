import Adaptation
import ArgumentParser
import Decoder
import Foundation

struct Chat: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Talk with a model, and switch adapters meanwhile.",
    discussion: """
      Each line is a message; lines that begin with a slash are commands, which /help lists.
      Ctrl-C stops an answer; /quit or the end of input leaves. Answers go to standard output,
      all else to standard error.

      Example: lota chat --model models/smollm2 --adapter sql=runs/sql/adapter --adapter runs/math/adapter
      """)

  @OptionGroup var options: ModelOptions

  @Option(
    name: .customLong("adapter"),
    help: ArgumentHelp(
      "Adapter to load, and a name for it; may be repeated. The first is active at the start.", valueName: "name=dir"),
    transform: { AdapterReference($0) })
  var adapters: [AdapterReference] = []

  @Option(help: "System message.")
  var system: String?

  @Option(help: "Longest answer, in tokens.")
  var maxTokens = 512

  @OptionGroup var sampling: SamplingArguments

  func run() throws {
    let sampling = try sampling.options(maximumTokens: maxTokens)
    try options.compute.apply()
    let loaded = try LoadedModel(
      mapping: options.model, dtype: options.compute.resolvedType, device: options.compute.resolvedDevice)
    let store = try AdapterStore(loaded)
    let session = try ChatSession(loaded, adapters: store, sampling: sampling)
    session.system = system
    for adapter in adapters { try store.add(adapter.located(), named: adapter.name) }
    if let first = adapters.first { try store.activate([first.name]) }
    var loop = ChatLoop(session)
    loop.run()
  }
}

/// What a line asks for.
enum ChatInput: Equatable {
  case message(String)
  case adapter([String]), base, list, load(String), clear, system(String?), help, quit
  /// Not understood; what to do instead.
  case wrong(String)

  static let commands = """
    /adapter NAME...   make these adapters active, and no others; their tickets must be disjoint
    /base              no adapter
    /adapters          list the adapters; active ones have a star
    /load NAME=DIR     load another adapter
    /clear             forget the conversation
    /system TEXT       set the system message; without TEXT, take it away
    /help              this list
    /quit              leave
    """

  /// nil for an empty line.
  init?(_ line: String) {
    let line = line.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !line.isEmpty else { return nil }
    guard line.hasPrefix("/") else {
      self = .message(line)
      return
    }
    let end = line.firstIndex(where: \.isWhitespace) ?? line.endIndex
    let rest = line[end...].trimmingCharacters(in: .whitespaces)
    let words = rest.split(whereSeparator: \.isWhitespace).map(String.init)
    switch line[..<end] {
    case "/adapter": self = words.isEmpty ? .wrong("/adapter needs a name: /adapters lists them") : .adapter(words)
    case "/load": self = words.isEmpty ? .wrong("/load needs NAME=DIR, or DIR") : .load(rest)
    case "/system": self = .system(rest.isEmpty ? nil : rest)
    case "/base": self = .base
    case "/adapters": self = .list
    case "/clear": self = .clear
    case "/help": self = .help
    case "/quit", "/exit": self = .quit
    default: self = .wrong("there is no command \(line[..<end]): /help lists them")
    }
  }
}

/// Reads lines and shows what the session makes of them.
private struct ChatLoop {
  private let session: ChatSession
  private var reader = LineReader()

  init(_ session: ChatSession) { self.session = session }

  mutating func run() {
    Interruption.catchAll()
    note("/help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves")
    while true {
      if LineReader.isTerminal { Output.prompt(prompt) }
      switch reader.next() {
      case .end:
        note("")
        return
      case .interrupted:
        guard LineReader.isTerminal else { return }
        note("\n/quit or Ctrl-D leaves")
      case .line(let line):
        guard let input = ChatInput(line) else { continue }
        if input == .quit { return }
        do { try obey(input) } catch { refuse("\(error)") }
      }
    }
  }

  private var prompt: String {
    let active = session.adapters.active
    return (active.isEmpty ? "base" : active.joined(separator: "+")) + "> "
  }

  private func obey(_ input: ChatInput) throws {
    let store = session.adapters
    switch input {
    case .message(let text): try answer(text)
    case .adapter(let names): try store.activate(names)
    case .base: try store.deactivateAll()
    case .list: list(store)
    case .load(let text):
      let adapter = AdapterReference(text)
      try store.add(adapter.located(), named: adapter.name)
      Output.note("loaded \(adapter.name): /adapter \(adapter.name) makes it active")
    case .clear: session.clear()
    case .system(let text): session.system = text
    case .help: Output.note(ChatInput.commands)
    case .wrong(let text): refuse(text)
    case .quit: break
    }
  }

  private func list(_ store: AdapterStore) {
    if store.names.isEmpty { Output.note("no adapter is loaded: /load NAME=DIR") }
    for name in store.names { Output.note((store.active.contains(name) ? "* " : "  ") + name) }
  }

  private func answer(_ text: String) throws {
    _ = Interruption.take()
    var hasBegun = false
    let result = Result {
      try session.send(text) { event in
        if case .text(let piece) = event {
          hasBegun = true
          Output.raw(piece)
        }
        return Interruption.isPending ? .stop : .proceed
      }
    }
    _ = Interruption.take()
    // Whatever ends an answer, its line ends too.
    if hasBegun || (try? result.get()) != nil { Output.result("") }
    let answer = try result.get()
    switch answer.ending {
    case .stopToken: break
    case .interrupted: Output.note("(stopped)")
    case .maximumTokens: Output.note("(cut off after \(answer.tokens.count) tokens: --max-tokens allows more)")
    case .contextFull: Output.note("(the context of \(session.contextLength) tokens is full: /clear begins anew)")
    }
  }

  private func refuse(_ text: String) {
    Output.note("Error: " + text.split(whereSeparator: \.isNewline).joined(separator: " "))
  }

  /// Only for who sits before it.
  private func note(_ text: String) { if LineReader.isTerminal { Output.note(text) } }
}
