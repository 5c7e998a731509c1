/// Inputs that look harmless and are not; the ordinary mutations would hardly find them.
enum Hostile {
  static let qwenOfManyLayers = """
    {"architectures": ["Qwen2ForCausalLM"], "vocab_size": 32, "hidden_size": 8, "intermediate_size": 16,
     "num_hidden_layers": 1000000000000, "num_attention_heads": 2, "num_key_value_heads": 2, "use_sliding_window": true}
    """

  /// Aliases of aliases: nine lines that stand for a billion values.
  static func laughs(_ levels: Int = 12, key: String = "table") -> String {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1..<levels {
      let aliases = [String](repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(aliases)]\n"
    }
    return text + "\(key): *a\(levels - 1)\n"
  }

  /// The same as keys, which are hashed and compared.
  static func laughingKeys(_ levels: Int = 12) -> String {
    laughs(levels) + "? *a\(levels - 1)\n: 1\n? *a\(levels - 1)\n: 2\n"
  }

  static func flowNesting(_ depth: Int) -> String {
    "table: " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "\n"
  }

  static func blockNesting(_ depth: Int) -> String { "table:\n" + String(repeating: "- ", count: depth) + "x\n" }

  /// Conditions in conditions, each level named twice.
  static let conditionLaughs: String = {
    var text = ""
    for level in 1..<40 {
      text += "  p\(level): &p\(level) [{value: *p\(level - 1)}, {value: *p\(level - 1)}]\n"
    }
    return "  p0: &p0 [{value: 1}, {value: 2}]\n" + text
  }()

  /// A plan whose settings run through 10^12 values together.
  static let variedPlan: String = {
    let settings = (0..<12).map { "    s\($0): {vary: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}\n" }.joined()
    return "model: model\ntasks:\n  a: {train: rows.jsonl, test: rows.jsonl}\nstages:\n  first:\n    train: a\n"
      + settings
  }()

  /// Merges of merges: every stage asks for the tasks of the two before it.
  static let mergedPlan: String = {
    var text = "model: model\ntasks:\n  a: {train: rows.jsonl, dev: rows.jsonl, test: rows.jsonl}\nstages:\n"
    text += "  s0: {train: a}\n  s1: {train: a}\n"
    for stage in 2..<60 {
      text += "  s\(stage): {merge: [s\(stage - 1), s\(stage - 2)], method: ties, density: {choose: [0.1, 0.2]}}\n"
    }
    return text
  }()

  static let templates = [
    // Loops in loops.
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}x{% endfor %}{% endfor %}{% endfor %}",
    // Texts and lists that double.
    "{% set n = namespace(t='x') %}{% for a in range(64) %}{% set n.t = n.t + n.t %}{% endfor %}{{ n.t }}",
    "{% set n = namespace(t=[1]) %}{% for a in range(64) %}{% set n.t = n.t + n.t %}{% endfor %}{{ n.t }}",
    "{{ 'x' * 1000000000 }}", "{{ 'x' * 16000000 }}{{ 'y' * 16000000 }}", "{{ [1] * 100000000 }}",
    // A tuple of itself, twice: few nodes, a great key.
    "{% set n = namespace(t=(1, 2)) %}{% for a in range(60) %}{% set n.t = (n.t, n.t) %}{% endfor %}{{ {n.t: 1} }}",
    "{% set n = namespace(t=(1, 2)) %}{% for a in range(60) %}{% set n.t = (n.t, n.t) %}{% endfor %}{{ n.t == (n.t, 1) }}{{ n.t }}",
    // A long text many times.
    "{% set t = 'x' * 1000000 %}{{ '\(String(repeating: "{0}", count: 2000))'.format(t) }}",
    "{% set t = 'x' * 1000000 %}{{ '\(String(repeating: "%s", count: 200))' % ((t,) * 200) }}",
    "{% set t = 'ß' * 4000000 %}{% for i in range(1000) %}{{ t | upper | length }}{{ t | title | length }}{% endfor %}",
    "{% set t = '<' * 8000000 %}{% for i in range(100) %}{{ t | escape | length }}{{ t | urlencode | length }}{% endfor %}",
    "{% set t = 'x' * 8000000 %}{% for i in range(99999) %}{{ t.isupper() }}{{ t | length }}{{ t[::-1] | length }}{% endfor %}",
    "{% set t = ' ' * 4000000 %}{% for i in range(99999) %}{{ t.split() | length }}{{ t.strip() }}{% endfor %}",
    "{{ strftime_now('%c' * 5000000) }}", "{{ strftime_now('%99999999d') }}",
    // Many names and many scopes to look through.
    "\(String(repeating: "{% with %}", count: 45)){% for i in range(99999) %}{{ nothing is defined }}{{ nothing is defined }}{% endfor %}\(String(repeating: "{% endwith %}", count: 45))",
    "{% set n = namespace(d={}) %}{% set k = dict(\((0..<400).map { "k\($0)=1" }.joined(separator: ", "))) %}{% for i in range(9999) %}{{ namespace(**k) is defined }}{{ dict(**k) | length }}{% endfor %}",
    "{% macro m(\((0..<300).map { "k\($0)=1" }.joined(separator: ", "))) %}{% endmacro %}{% for i in range(99999) %}{{ m(\((0..<300).reversed().map { "k\($0)=2" }.joined(separator: ", "))) }}{% endfor %}",
    "{% for i in range(99999) %}{{ range(99999) | list | sort(reverse=true) | unique | list | length }}{% endfor %}",
    "{% set l = range(99999) | list %}{% for i in range(99999) %}{{ l == l[:99998] }}{{ 99998 in l }}{{ l | sum }}{{ l | max }}{% endfor %}",
    "{% set l = ('ab ' * 90000).split() %}{% for i in range(9999) %}{{ l | join(',') | length }}{{ l | map('upper') | list | length }}{% endfor %}",
    "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}", "{{ \(String(repeating: "(", count: 3000))1",
    "{{ 1\(String(repeating: " + 1", count: 5000)) }}", "{{ \(String(repeating: "not ", count: 5000))1 }}",
    "{{ \(String(repeating: "-", count: 5000))1 }}", "{{ a\(String(repeating: ".b", count: 5000)) }}",
    "{{ a\(String(repeating: "|d", count: 5000)) }}", "{{ \(String(repeating: "[", count: 5000)) }}",
    "{{ 1\(String(repeating: " if 1 else 1", count: 5000)) }}", "{{ 2\(String(repeating: " ** 2", count: 5000)) }}",
    "{% if a %}\(String(repeating: "{% elif a %}x", count: 5000)){% endif %}",
    String(repeating: "{% if a %}", count: 3000), String(repeating: "{% for a in b %}", count: 3000),
    "{{ \(String(repeating: "9", count: 5000)) }}", "{{ 1e\(String(repeating: "9", count: 500)) }}",
    "{{ '%10000d' % 1 }}\(String(repeating: "{{ '%9999.9999f' % 1e308 }}", count: 500))",
    "{{ {'a': [1, 2, {'b': 3}]} | tojson(indent=1000) }}", "{{ 'a\\u0000b' | tojson }}{{ '\\ud800' }}",
    "{% set t = 'a' * 200000 %}{% for i in range(9999) %}{{ t.replace('a', 'bbbb') | length }}{{ t.count('a') }}{{ t.find('b') }}{% endfor %}",
    "{% set t = '\\n' * 1000000 %}{{ t | indent(1000) | length }}", "{{ 'a' | center(16000000) | length }}",
    "{% set t = '9' * 8000000 %}{{ t | int }}{{ t | float }}{{ ('1_' * 4000000) | int }}",
  ]

  /// Regular expressions that try again and again, and some that are long when written out.
  static let patterns = [
    "(?:a+)+b", "(?:a|a)+b", "(?:a|aa)+b", "a*a*a*a*a*a*a*a*b", "(?:(?:(?:(?:a?){9}){9}){9}){9}b", "(?:a{0,999}){999}",
    "(?:a?){1000}a{1000}", "(?:\\s*x?\\s*)+y", "(?=(?:a+)+b)a", "(?>(?:a|a)+b)", "(?:[a-z]+\\s?)+$", "(?:.*)+c",
    "((((){1000}){1000}){1000}){1000}", "(?:(?:(?=a){1000}){1000}){1000}", "a\(String(repeating: "{2}", count: 3000))",
    "a\(String(repeating: "?", count: 9000))", String(repeating: "(", count: 500), String(repeating: "[", count: 500),
    "[\(String(repeating: "^", count: 500))", "(?i)\(String(repeating: "(?i)", count: 500))a",
    "\\p{L}{1000}{1000}{1000}",
  ]

  /// Patterns as PEFT takes them, for Python's `re`.
  static let modulePatterns = [
    "(a*)*b", "(.*)*x", "(?:.*\\.)*(?:.*\\.)*q_proj", "(([a-z]+_?)+)+\\d",
    "(?:\(String(repeating: "(?:.*)*", count: 20)))z",
    "\(String(repeating: "(", count: 400))\(String(repeating: ")", count: 400))", "(.+)+\\1", "(?<=a)b",
    ".{1000}{1000}{1000}",
    "(?:x{999}){999}", "layers\\.[0-9]+\\.self_attn\\.(q|k)_proj",
  ]

  /// Normalizers whose results double with every step.
  static func doubling(_ steps: Int) -> String {
    let step = #"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#
    return
      #"{"type": "Sequence", "normalizers": [\#([String](repeating: step, count: steps).joined(separator: ", "))]}"#
  }
}
