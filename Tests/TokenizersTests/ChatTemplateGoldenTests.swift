import Foundation
import Testing
import Tokenizers

/// What jinja2 makes of each template, set up as transformers does (Scripts/goldens/chat_templates.py).
@Suite struct ChatTemplateGoldenTests {
  @Test(arguments: try! ChatGoldens.load().cases)
  func rendersAsJinja(_ golden: ChatGoldens.Case) throws {
    let found = golden.render()
    #expect(found == golden.outcome, "template: \(golden.source)")
  }

  @Test func coversTheLanguage() throws {
    let cases = try ChatGoldens.load().cases
    #expect(cases.filter { $0.kind == .feature }.count >= 200)
    #expect(Set(cases.filter { $0.kind == .named }.map(\.source)) == Set(ChatTemplate.names))
  }
}

/// The golden file, with the order of members kept.
struct ChatGoldens {
  enum Kind { case feature, family, named }

  enum Outcome: Equatable {
    case text(String)
    case syntax, evaluation
    case raised(String)
    case other(String)

    /// Swift compares strings up to canonical equivalence; the goldens are exact.
    static func == (left: Outcome, right: Outcome) -> Bool {
      switch (left, right) {
      case (.text(let first), .text(let second)), (.raised(let first), .raised(let second)):
        Array(first.utf8) == Array(second.utf8)
      case (.syntax, .syntax), (.evaluation, .evaluation): true
      default: false
      }
    }
  }

  struct Case: CustomTestStringConvertible, Sendable {
    var index: Int
    var kind: Kind
    var source: String
    var template: String
    var context: String
    var messages: [TemplateValue]
    var variables: [String: TemplateValue]
    var addsPrompt: Bool
    var outcome: Outcome

    var testDescription: String { "\(index) \(kind == .feature ? "" : source), \(context), \(addsPrompt)" }

    func render() -> Outcome {
      do {
        let template = kind == .named ? try ChatTemplate.named(source) : try ChatTemplate(source: template)
        return .text(
          try template.render(messages: messages, addGenerationPrompt: addsPrompt, variables: variables).text)
      } catch ChatTemplateError.syntax {
        return .syntax
      } catch ChatTemplateError.evaluation {
        return .evaluation
      } catch ChatTemplateError.raised(_, let message) {
        return .raised(message)
      } catch {
        return .other("\(error)")
      }
    }
  }

  var cases: [Case]

  struct Malformed: Error { var what: String }

  static func load() throws -> ChatGoldens {
    guard let file = Bundle.module.url(forResource: "Goldens/chat_templates", withExtension: "json"),
      let document = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any],
      let contexts = document["contexts"] as? [String: [String: Any]],
      let templates = document["templates"] as? [String: String],
      let rows = document["cases"] as? [[String: Any]]
    else { throw Malformed(what: "chat_templates.json") }
    let values = try contexts.mapValues { context in
      (messages: try value(context["messages"]), variables: try value(context["variables"]))
    }
    return ChatGoldens(
      cases: try rows.enumerated().map { index, row in
        guard let context = row["context"] as? String, let prompt = row["add_generation_prompt"] as? Bool,
          case (.array(let messages), .object(let variables))? = values[context]
        else { throw Malformed(what: "case \(index)") }
        let text = row["template"] as? String
        let family = row["family"] as? String
        guard let source = text ?? family ?? row["named"] as? String else { throw Malformed(what: "case \(index)") }
        return Case(
          index: index, kind: text != nil ? .feature : family != nil ? .family : .named, source: source,
          template: text ?? templates[source] ?? "", context: context, messages: messages,
          variables: Dictionary(variables.map { ($0.name, $0.value) }) { $1 }, addsPrompt: prompt,
          outcome: outcome(row))
      })
  }

  private static func outcome(_ row: [String: Any]) -> Outcome {
    if let text = row["expected"] as? String { return .text(text) }
    return switch row["error"] as? String {
    case "syntax": .syntax
    case "evaluation": .evaluation
    case "raised": .raised(row["message"] as? String ?? "")
    default: .other("no outcome")
    }
  }

  private static func value(_ json: Any?) throws -> TemplateValue {
    switch json {
    case is NSNull: return .null
    case let text as String: return .string(text)
    case let list as [Any]: return .array(try list.map { try value($0) })
    case let tagged as [String: Any]:
      guard let members = tagged["object"] as? [[Any]] else { throw Malformed(what: "an object") }
      return .object(
        try members.map { pair in
          guard pair.count == 2, let name = pair[0] as? String else { throw Malformed(what: "a member") }
          return TemplateValue.Member(name, try value(pair[1]))
        })
    case let number as NSNumber:
      if CFBooleanTypeCheck.isBoolean(number) { return .boolean(number.boolValue) }
      return String(cString: number.objCType) == "d" ? .number(number.doubleValue) : .integer(number.intValue)
    default: throw Malformed(what: "a value")
    }
  }
}

enum CFBooleanTypeCheck {
  /// JSONSerialization gives booleans as numbers whose type is a character.
  static func isBoolean(_ number: NSNumber) -> Bool { ["c", "B"].contains(String(cString: number.objCType)) }
}
