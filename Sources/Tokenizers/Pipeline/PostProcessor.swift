/// Special tokens around a sequence.
struct PostProcessor: Sendable {
  enum Part: Equatable, Sendable {
    case ids([Int])
    case sequence
  }

  /// Applied one after the other; each is the whole result of one processor.
  private(set) var templates: [[Part]] = []

  init(templates: [[Part]] = []) { self.templates = templates }

  init(_ node: JSONNode) throws {
    let type = try node.type()
    switch type {
    case "Sequence":
      templates = try node.required("processors").elements().flatMap { try PostProcessor($0).templates }
    case "ByteLevel": break
    case "TemplateProcessing":
      let template = try Self.template(node)
      // One after the other, several templates that write the text twice would make it grow beyond all bounds.
      guard template.count(where: { $0 == .sequence }) <= 1 else {
        throw TokenizerError.unsupportedOption(
          path: node.file, field: "\(node.field).single", value: "a template that writes the text more than once")
      }
      templates = [template]
    case "RobertaProcessing", "BertProcessing":
      templates = [[.ids([try Self.pairID(node, "cls")]), .sequence, .ids([try Self.pairID(node, "sep")])]]
    default: throw node.unsupportedComponent(type)
    }
  }

  /// `["</s>", 2]`
  private static func pairID(_ node: JSONNode, _ name: String) throws -> Int {
    let parts = try node.required(name).elements()
    guard parts.count == 2 else { throw try node.required(name).wrongType("a token and its id") }
    return try id(parts[1], token: try parts[0].string())
  }

  private static func id(_ node: JSONNode, token: String) throws -> Int {
    let id = try node.integer()
    guard (0...Vocabulary.maximumID).contains(id) else {
      throw TokenizerError.invalidID(path: node.file, token: token, id: "\(id)")
    }
    return id
  }

  private static func template(_ node: JSONNode) throws -> [Part] {
    let special = node.optional("special_tokens")
    var count = 0
    return try node.required("single").elements().map { element in
      if let sequence = element.optional("Sequence") {
        let name = try sequence.required("id")
        guard try name.string() == "A" else {
          throw TokenizerError.unsupportedOption(
            path: node.file, field: name.field, value: try name.string().debugDescription)
        }
        return .sequence
      }
      let token = try element.required("SpecialToken").required("id")
      let name = try token.string()
      guard let entry = special?.optional(name) else {
        throw TokenizerError.unknownToken(path: node.file, field: token.field, token: name)
      }
      let ids = try entry.required("ids").elements()
      count += ids.count
      guard count <= maximumTokenCount else {
        throw TokenizerError.unsupportedOption(
          path: node.file, field: "\(node.field).single", value: "a template of more than \(maximumTokenCount) tokens")
      }
      return .ids(try ids.map { try id($0, token: name) })
    }
  }

  /// Special tokens that a template may put around a text.
  private static let maximumTokenCount = 1000

  func apply(_ ids: [Int]) -> [Int] {
    templates.reduce(ids) { ids, template in
      template.flatMap { part in
        switch part {
        case .ids(let special): special
        case .sequence: ids
        }
      }
    }
  }
}
