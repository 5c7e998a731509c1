extension Jinja {
  enum Constant: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(String)
  }

  enum BinaryOperator: String, Sendable {
    case add = "+", subtract = "-", multiply = "*", divide = "/", floorDivide = "//", remainder = "%", power = "**"
  }

  enum ComparisonOperator: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case isIn = "in", isNotIn = "not in"
  }

  struct Arguments: Sendable {
    var positional: [Expression] = []
    var keywords: [(name: String, value: Expression)] = []
    var unpacked: Expression?
    var unpackedKeywords: Expression?

    var all: [Expression] {
      positional + keywords.map(\.value) + [unpacked, unpackedKeywords].compactMap(\.self)
    }
  }

  struct FilterUse: Sendable {
    var name: String
    var arguments: Arguments
  }

  final class Expression: Sendable {
    enum Kind: Sendable {
      case constant(Constant)
      case name(String)
      case list([Expression])
      case tuple([Expression])
      case dictionary([(key: Expression, value: Expression)])
      case negative(Expression)
      case positive(Expression)
      case not(Expression)
      case and(Expression, Expression)
      case or(Expression, Expression)
      case binary(BinaryOperator, Expression, Expression)
      case concatenation([Expression])
      case comparison(Expression, [(operation: ComparisonOperator, operand: Expression)])
      case conditional(test: Expression, then: Expression, otherwise: Expression?)
      case attribute(Expression, String)
      case item(Expression, Expression)
      case slice(Expression, lower: Expression?, upper: Expression?, step: Expression?)
      case call(Expression, Arguments)
      case filter(Expression, FilterUse)
      case test(Expression, FilterUse)
    }

    let kind: Kind
    let line: Int
    /// Nesting below and including this expression; the parser keeps it small, so that recursion over it is safe.
    let depth: Int

    init(_ kind: Kind, line: Int) {
      self.kind = kind
      self.line = line
      depth = 1 + (Self.children(of: kind).map(\.depth).max() ?? 0)
    }

    private static func children(of kind: Kind) -> [Expression] {
      switch kind {
      case .constant, .name: []
      case .list(let items), .tuple(let items), .concatenation(let items): items
      case .dictionary(let pairs): pairs.flatMap { [$0.key, $0.value] }
      case .negative(let operand), .positive(let operand), .not(let operand): [operand]
      case .and(let left, let right), .or(let left, let right), .binary(_, let left, let right): [left, right]
      case .comparison(let first, let rest): [first] + rest.map(\.operand)
      case .conditional(let test, let then, let otherwise): [test, then] + (otherwise.map { [$0] } ?? [])
      case .attribute(let base, _): [base]
      case .item(let base, let index): [base, index]
      case .slice(let base, let lower, let upper, let step): [base] + [lower, upper, step].compactMap(\.self)
      case .call(let base, let arguments): [base] + arguments.all
      case .filter(let base, let use), .test(let base, let use): [base] + use.arguments.all
      }
    }
  }

  indirect enum Target: Sendable {
    case name(String)
    case tuple([Target])
    case namespace(String, attribute: String)
  }

  struct Statement: Sendable {
    indirect enum Kind: Sendable {
      case text(String)
      case output([Expression])
      case conditional([(test: Expression, body: [Statement])], otherwise: [Statement])
      case loop(Loop)
      case set(Target, Expression)
      case setBlock(Target, filters: [FilterUse], body: [Statement])
      case macro(Macro)
      case callBlock(caller: Macro, call: Expression)
      case filterBlock(filters: [FilterUse], body: [Statement])
      case with([(target: Target, value: Expression)], body: [Statement])
      case generation(body: [Statement])
      case breakLoop
      case continueLoop
    }
    let kind: Kind
    let line: Int
  }

  final class Loop: Sendable {
    let target: Target
    let items: Expression
    let condition: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]

    init(
      target: Target, items: Expression, condition: Expression?, isRecursive: Bool, body: [Statement],
      otherwise: [Statement]
    ) {
      self.target = target
      self.items = items
      self.condition = condition
      self.isRecursive = isRecursive
      self.body = body
      self.otherwise = otherwise
    }
  }

  final class Macro: Sendable {
    let name: String
    let parameters: [(name: String, fallback: Expression?)]
    let body: [Statement]
    /// Which of `varargs`, `kwargs` and `caller` the body mentions; only those may be passed.
    let implicit: Set<String>

    init(name: String, parameters: [(name: String, fallback: Expression?)], body: [Statement], implicit: Set<String>) {
      self.name = name
      self.parameters = parameters
      self.body = body
      self.implicit = implicit
    }
  }
}
