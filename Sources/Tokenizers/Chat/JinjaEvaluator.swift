extension Jinja {
  enum Flow { case normal, breakLoop, continueLoop }

  /// Runs one template once. Everything a hostile template could waste is counted: steps, bytes made, depth, output.
  final class Evaluator {
    let limits: ChatTemplate.Limits
    let clock: (String) -> String
    /// The line of what is being evaluated, for messages.
    var line = 1
    private var steps = 0
    private var allocatedBytes = 0
    private var depth = 0
    /// The output, and above it the texts that macros and block assignments are collecting.
    private var buffers = [""]
    /// UTF-8 offsets in the output of what stood inside `generation` tags.
    var generated: [Range<Int>] = []
    /// Scopes that a macro refers to, which therefore refer to themselves; emptied at the end.
    private var capturedScopes: [Scope] = []

    /// - Parameter clock: `strftime` of the present time.
    init(limits: ChatTemplate.Limits, clock: @escaping (String) -> String) {
      self.limits = limits
      self.clock = clock
    }

    func run(_ body: [Statement], variables: [String: TemplateValue]) throws -> String {
      defer { for scope in capturedScopes { scope.variables = [:] } }
      do {
        let context = Scope(parent: nil, variables: try variables.mapValues { try Value($0) })
        _ = try execute(body, Scope(parent: context))
        return buffers[0]
      } catch let failure as TemplateFailure {
        throw ChatTemplateError.evaluation(line: line, failure.message)
      } catch is Writer.TooLong {
        throw exceeded(.outputBytes)
      }
    }

    func keepForCleaning(_ scope: Scope) { capturedScopes.append(scope) }

    // MARK: limits

    func exceeded(_ kind: ChatTemplate.Limits.Kind) -> ChatTemplateError {
      .limitExceeded(line: line, kind, limit: limits[kind])
    }

    func charge(steps count: Int = 1) throws {
      steps += count
      if steps > limits.steps { throw exceeded(.steps) }
    }

    /// Counts the work of reading a text once, and makes sure that there is room for it: most operations take a text apart into
    /// scalars, which are `factor` times as large for a while.
    func chargeReading(_ text: String, factor: Int = 10) throws {
      try charge(steps: 1 + text.utf8.count / 8)
      let (room, overflow) = text.utf8.count.multipliedReportingOverflow(by: factor)
      guard !overflow, text.utf8.count < 1024 || room <= limits.allocatedBytes - allocatedBytes else {
        throw exceeded(.allocatedBytes)
      }
    }

    func charge(bytes count: Int) throws {
      let (sum, overflow) = allocatedBytes.addingReportingOverflow(count)
      allocatedBytes = sum
      if overflow || sum > limits.allocatedBytes { throw exceeded(.allocatedBytes) }
    }

    /// Enters one level of recursion; the caller leaves it. No closure, which would cost stack at every level.
    func enter() throws {
      depth += 1
      guard depth <= limits.nesting else { throw exceeded(.nesting) }
    }

    func leave() { depth -= 1 }

    // MARK: making values

    func text(_ text: String) throws -> Value {
      try charge(bytes: text.utf8.count + Self.blockBytes)
      return .string(text)
    }

    /// What a text or node takes beside its content.
    private static let blockBytes = 32
    private static let nodeBytes = 160

    /// Adds to a text that is being made; together they stay below the size of a text.
    func append(_ more: String, to text: inout String) throws {
      guard text.utf8.count + more.utf8.count <= limits.outputBytes else { throw exceeded(.outputBytes) }
      try charge(bytes: more.utf8.count)
      text += more
    }

    func text(_ scalars: some Sequence<Unicode.Scalar>) throws -> Value { try text(String(scalars)) }

    func sequence(_ kind: SequenceNode.Kind, _ items: [Value]) throws -> Value {
      try charge(bytes: Self.nodeBytes + items.count * MemoryLayout<Value>.stride)
      let value = Value.sequence(SequenceNode(kind, items))
      guard value.depth <= Jinja.maximumValueDepth else { throw exceeded(.nesting) }
      return value
    }

    func list(_ items: [Value]) throws -> Value { try sequence(.list, items) }

    /// What a lazy filter gives. The items are made at once, but a failure waits until they are used.
    func generator(_ items: () throws -> [Value]) throws -> Value {
      do {
        return try sequence(.generator, try items())
      } catch let failure as TemplateFailure {
        return .sequence(SequenceNode(.generator, [], failure: failure))
      }
    }

    func dictionary(_ pairs: [(key: Value, value: Value)]) throws -> Value {
      try charge(bytes: 2 * Self.nodeBytes + pairs.count * 6 * MemoryLayout<Value>.stride)
      for case (.string(let key), _) in pairs { try chargeReading(key) }
      let value = Value.dictionary(try DictionaryNode(pairs))
      guard value.depth <= Jinja.maximumValueDepth else { throw exceeded(.nesting) }
      return value
    }

    /// `str(value)`.
    func string(of value: Value) throws -> String {
      if case .string(let text) = value { return text }
      var writer = Writer(limit: limits.outputBytes)
      try writer.appendString(of: value)
      try charge(bytes: writer.text.utf8.count)
      try charge(steps: writer.text.utf8.count / 8)
      return writer.text
    }

    // MARK: output

    func emit(_ text: String) throws {
      let last = buffers.count - 1
      guard buffers[last].utf8.count + text.utf8.count <= limits.outputBytes else { throw exceeded(.outputBytes) }
      try charge(bytes: text.utf8.count)
      buffers[last] += text
    }

    /// What `body` writes, instead of writing it.
    func capture(_ body: () throws -> Void) throws -> String {
      buffers.append("")
      defer { buffers.removeLast() }
      try body()
      return buffers[buffers.count - 1]
    }

    /// Remembers where `body` writes, if it writes to the output itself.
    func marking(_ body: () throws -> Void) throws {
      let start = buffers[0].utf8.count
      try body()
      if buffers.count == 1 { generated.append(start..<buffers[0].utf8.count) }
    }
  }
}
