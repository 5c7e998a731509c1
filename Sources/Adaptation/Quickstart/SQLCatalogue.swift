/// All the tables there are; a seed decides which of them are held out.
enum SQLCatalogue {
  static let tables = work + shopping + culture + nature + travel + sport + science + home

  private typealias V = SQLValues

  private static let work: [SQLTable] = [
    SQLTable(
      "employees", "employee", .text("name", V.persons), .text("department", V.departments),
      .number("salary", 1000...9000, by: 100), .number("age", 20...65)),
    SQLTable(
      "managers", "manager", .text("name", V.surnames), .text("office", V.cities), .number("bonus", 100...900, by: 50),
      .year("start_year")),
    SQLTable(
      "invoices", "invoice", .text("customer", V.surnames), .text("status", V.statuses),
      .number("amount", 50...950, by: 10), .text("month", V.months)),
    SQLTable(
      "projects", "project", .text("title", V.titles), .text("leader", V.surnames),
      .number("budget", 100...990, by: 10),
      .number("duration", 1...36)),
    SQLTable(
      "meetings", "meeting", .text("topic", V.subjects), .text("room", V.places), .number("guests", 2...40),
      .text("day", V.days)),
    SQLTable(
      "tickets", "ticket", .text("subject", V.goods), .text("state", V.statuses), .number("priority", 1...9),
      .text("agent", V.persons)),
    SQLTable(
      "contracts", "contract", .text("client", V.brands), .text("country", V.countries),
      .number("value", 100...980, by: 20),
      .year("signed_year")),
    SQLTable(
      "companies", "company", .text("name", V.brands), .text("city", V.cities), .number("staff", 10...800, by: 10),
      .year("founding_year")),
    SQLTable(
      "trainings", "training", .text("topic", V.subjects), .text("trainer", V.persons), .number("hours", 2...40),
      .number("fee", 20...400, by: 10)),
    SQLTable(
      "shifts", "shift", .text("worker", V.persons), .text("day", V.days), .number("hours", 2...12),
      .text("role", V.roles)),
  ]

  private static let shopping: [SQLTable] = [
    SQLTable(
      "products", "product", .text("name", V.goods), .text("brand", V.brands), .number("price", 5...500, by: 5),
      .number("stock", 0...90)),
    SQLTable(
      "orders", "order", .text("customer", V.persons), .text("city", V.cities), .number("total", 10...900, by: 10),
      .text("status", V.statuses)),
    SQLTable(
      "customers", "customer", .text("name", V.surnames), .text("country", V.countries), .number("age", 18...80),
      .number("points", 10...500, by: 10)),
    SQLTable(
      "shops", "shop", .text("name", V.places), .text("city", V.cities), .number("area", 20...400, by: 10),
      .year("opening_year")),
    SQLTable(
      "suppliers", "supplier", .text("name", V.brands), .text("country", V.countries), .number("rating", 1...10),
      .number("delay", 1...30)),
    SQLTable(
      "shoes", "shoe", .text("brand", V.brands), .text("color", V.colors), .number("price", 20...300, by: 5),
      .number("size", 34...48)),
    SQLTable(
      "shirts", "shirt", .text("brand", V.brands), .text("material", V.materials), .text("size", V.sizes),
      .number("price", 10...120, by: 5)),
    SQLTable(
      "coupons", "coupon", .text("shop", V.brands), .number("discount", 5...70, by: 5), .text("month", V.months),
      .number("uses", 1...90)),
    SQLTable(
      "reviews", "review", .text("author", V.persons), .text("product", V.goods), .number("stars", 1...5),
      .year("year", 2005...2022)),
    SQLTable(
      "phones", "phone", .text("brand", V.brands), .text("system", V.systems), .number("price", 100...950, by: 50),
      .number("weight", 120...240, by: 5)),
  ]

  private static let culture: [SQLTable] = [
    SQLTable(
      "books", "book", .text("title", V.titles), .text("author", V.surnames), .number("pages", 80...900, by: 10),
      .text("genre", V.genres)),
    SQLTable(
      "films", "film", .text("title", V.titles), .text("director", V.surnames), .number("length", 70...190, by: 5),
      .year("year")),
    SQLTable(
      "songs", "song", .text("title", V.titles), .text("singer", V.persons), .number("seconds", 90...400, by: 10),
      .text("style", V.music)),
    SQLTable(
      "concerts", "concert", .text("band", V.brands), .text("city", V.cities), .number("visitors", 100...900, by: 50),
      .text("style", V.music)),
    SQLTable(
      "museums", "museum", .text("name", V.places), .text("country", V.countries), .number("rooms", 3...90),
      .number("ticket_price", 2...30)),
    SQLTable(
      "paintings", "painting", .text("title", V.titles), .text("painter", V.surnames),
      .number("height", 20...300, by: 10),
      .year("painting_year", 1800...1990)),
    SQLTable(
      "actors", "actor", .text("name", V.persons), .text("country", V.countries), .number("awards", 1...80),
      .year("birth_year", 1940...2000)),
    SQLTable(
      "magazines", "magazine", .text("title", V.titles), .text("language", V.languages), .number("issues", 4...52),
      .number("readers", 100...900, by: 20)),
    SQLTable(
      "musicians", "musician", .text("name", V.persons), .text("instrument", V.instruments), .number("albums", 1...30),
      .text("city", V.cities)),
    SQLTable(
      "games", "game", .text("title", V.titles), .text("level", V.levels), .number("players", 1...12),
      .number("minutes", 10...180, by: 10)),
    SQLTable(
      "podcasts", "podcast", .text("title", V.titles), .text("host", V.persons), .number("episodes", 5...300, by: 5),
      .text("language", V.languages)),
  ]

  private static let nature: [SQLTable] = [
    SQLTable(
      "animals", "animal", .text("name", V.persons), .text("species", V.species), .number("weight", 1...400),
      .number("age", 1...30)),
    SQLTable(
      "trees", "tree", .text("kind", V.plants), .text("park", V.places), .number("height", 2...60),
      .number("age", 5...200, by: 5)),
    SQLTable(
      "rivers", "river", .text("name", V.places), .text("country", V.countries), .number("length", 50...950, by: 10),
      .number("depth", 2...60)),
    SQLTable(
      "mountains", "mountain", .text("name", V.places), .text("continent", V.continents),
      .number("height", 500...6000, by: 100), .year("first_climb", 1850...1990)),
    SQLTable(
      "lakes", "lake", .text("name", V.places), .text("climate", V.climates), .number("depth", 5...300, by: 5),
      .number("area", 10...900, by: 10)),
    SQLTable(
      "birds", "bird", .text("name", V.colors), .text("diet", V.diets), .number("wingspan", 10...250, by: 5),
      .text("continent", V.continents)),
    SQLTable(
      "gardens", "garden", .text("owner", V.surnames), .text("soil", V.soils), .number("area", 10...500, by: 10),
      .number("flowers", 5...90)),
    SQLTable(
      "farms", "farm", .text("owner", V.surnames), .text("crop", V.plants), .number("hectares", 5...300, by: 5),
      .text("country", V.countries)),
    SQLTable(
      "storms", "storm", .text("name", V.persons), .text("month", V.months), .number("wind_speed", 60...250, by: 5),
      .year("year")),
    SQLTable(
      "pets", "pet", .text("name", V.persons), .text("species", V.species), .text("owner", V.surnames),
      .number("age", 1...20)),
    SQLTable(
      "islands", "island", .text("name", V.places), .text("climate", V.climates), .number("beaches", 1...60),
      .number("residents", 10...900, by: 10)),
  ]

  private static let travel: [SQLTable] = [
    SQLTable(
      "flights", "flight", .text("airline", V.brands), .text("destination", V.cities),
      .number("duration", 40...900, by: 10),
      .number("seats", 50...400, by: 10)),
    SQLTable(
      "hotels", "hotel", .text("name", V.places), .text("city", V.cities), .number("stars", 1...5),
      .number("rooms", 10...400, by: 10)),
    SQLTable(
      "trains", "train", .text("operator", V.brands), .text("origin", V.cities), .number("speed", 80...320, by: 10),
      .number("wagons", 2...20)),
    SQLTable(
      "ships", "ship", .text("name", V.titles), .text("flag", V.countries), .number("length", 20...360, by: 10),
      .year("building_year")),
    SQLTable(
      "airports", "airport", .text("city", V.cities), .text("country", V.countries), .number("runways", 1...8),
      .number("gates", 4...150)),
    SQLTable(
      "cars", "car", .text("brand", V.brands), .text("fuel", V.fuels), .number("power", 50...400, by: 10), .year("year")
    ),
    SQLTable(
      "drivers", "driver", .text("name", V.persons), .text("city", V.cities), .number("trips", 5...800, by: 5),
      .number("rating", 1...10)),
    SQLTable(
      "tours", "tour", .text("guide", V.persons), .text("language", V.languages), .number("price", 10...200, by: 5),
      .number("stops", 2...20)),
    SQLTable(
      "bridges", "bridge", .text("name", V.places), .text("material", V.materials), .number("length", 20...900, by: 10),
      .year("building_year", 1880...2015)),
    SQLTable(
      "bikes", "bike", .text("brand", V.brands), .text("color", V.colors), .number("gears", 1...30),
      .number("weight", 6...25)),
    SQLTable(
      "bus_lines", "bus line", .text("start", V.places), .text("operator", V.brands), .number("stops", 4...60),
      .number("passengers", 50...900, by: 50)),
  ]

  private static let sport: [SQLTable] = [
    SQLTable(
      "players", "player", .text("name", V.surnames), .text("position", V.positions), .number("goals", 0...60),
      .number("age", 16...40)),
    SQLTable(
      "teams", "team", .text("name", V.places), .text("sport", V.sports), .number("wins", 0...40),
      .number("losses", 0...40)),
    SQLTable(
      "matches", "match", .text("winner", V.places), .text("stadium", V.cities), .number("points", 1...120),
      .year("season", 1990...2022)),
    SQLTable(
      "runners", "runner", .text("name", V.persons), .text("country", V.countries), .number("distance", 5...100, by: 5),
      .number("minutes", 20...300, by: 5)),
    SQLTable(
      "medals", "medal", .text("athlete", V.surnames), .text("metal", V.metals), .text("sport", V.sports),
      .number("rank", 1...9)),
    SQLTable(
      "stadiums", "stadium", .text("name", V.places), .text("city", V.cities),
      .number("capacity", 1000...9000, by: 500),
      .year("opening_year")),
    SQLTable(
      "swimmers", "swimmer", .text("name", V.persons), .text("club", V.places), .number("records", 0...20),
      .number("height", 150...210)),
    SQLTable(
      "races", "race", .text("city", V.cities), .text("winner", V.surnames), .number("laps", 3...90), .year("year")),
    SQLTable(
      "gyms", "gym", .text("name", V.places), .text("district", V.places), .number("members", 20...900, by: 20),
      .number("monthly_fee", 10...120, by: 5)),
  ]

  private static let science: [SQLTable] = [
    SQLTable(
      "students", "student", .text("name", V.persons), .text("major", V.subjects), .number("grade", 1...15),
      .number("age", 17...35)),
    SQLTable(
      "courses", "course", .text("title", V.subjects), .text("teacher", V.surnames), .number("credits", 1...12),
      .text("day", V.days)),
    SQLTable(
      "planets", "planet", .text("name", V.brands), .text("color", V.colors), .number("moons", 0...80),
      .number("diameter", 100...990, by: 10)),
    SQLTable(
      "satellites", "satellite", .text("name", V.brands), .text("country", V.countries),
      .number("mass", 50...900, by: 10),
      .year("launch_year")),
    SQLTable(
      "experiments", "experiment", .text("field", V.subjects), .text("scientist", V.surnames),
      .number("samples", 5...500, by: 5),
      .number("score", 1...100)),
    SQLTable(
      "patients", "patient", .text("name", V.surnames), .text("city", V.cities), .number("age", 1...95),
      .number("visits", 1...30)),
    SQLTable(
      "doctors", "doctor", .text("name", V.surnames), .text("hospital", V.places),
      .number("operations", 5...300, by: 5),
      .number("experience", 1...40)),
    SQLTable(
      "schools", "school", .text("name", V.places), .text("city", V.cities), .number("teachers", 5...120),
      .number("pupils", 50...900, by: 10)),
    SQLTable(
      "laptops", "laptop", .text("brand", V.brands), .text("system", V.systems), .number("memory", 4...128, by: 4),
      .number("price", 200...2900, by: 100)),
    SQLTable(
      "servers", "server", .text("owner", V.departments), .text("system", V.systems), .number("cores", 2...128, by: 2),
      .text("location", V.cities)),
  ]

  private static let home: [SQLTable] = [
    SQLTable(
      "houses", "house", .text("street", V.places), .text("owner", V.surnames), .number("rooms", 1...15),
      .year("building_year", 1880...2020)),
    SQLTable(
      "recipes", "recipe", .text("title", V.dishes), .text("cuisine", V.cuisines), .number("minutes", 5...180, by: 5),
      .number("calories", 100...950, by: 10)),
    SQLTable(
      "restaurants", "restaurant", .text("name", V.places), .text("cuisine", V.cuisines), .number("seats", 4...60),
      .number("stars", 1...5)),
    SQLTable(
      "cakes", "cake", .text("flavor", V.flavors), .text("size", V.sizes), .number("price", 5...80),
      .number("layers", 1...6)),
    SQLTable(
      "chairs", "chair", .text("brand", V.brands), .text("material", V.materials), .number("weight", 2...30),
      .text("color", V.colors)),
    SQLTable(
      "apartments", "apartment", .text("district", V.places), .text("city", V.cities),
      .number("rent", 300...2900, by: 100),
      .number("floor", 1...30)),
    SQLTable(
      "drinks", "drink", .text("name", V.flavors), .text("color", V.colors), .number("sugar", 0...60),
      .number("price", 1...20)),
    SQLTable(
      "toys", "toy", .text("name", V.species), .text("material", V.materials), .number("price", 2...90),
      .number("minimum_age", 1...12)),
    SQLTable(
      "children", "child", .text("name", V.persons), .text("school", V.places), .number("age", 1...17),
      .number("siblings", 0...6)),
    SQLTable(
      "menus", "menu", .text("dish", V.dishes), .text("restaurant", V.places), .number("price", 5...70),
      .text("day", V.days)),
  ]
}
