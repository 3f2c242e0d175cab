"""The words of mail programs, and those of people who write about them: what a subject or the first lines of a mail
look like.

Words are the weakest sign that a machine wrote (see ``gateway/read/machine.py``). They stand here by what they are, a
language beside the other, so that another way of saying the same is found too.
"""

from __future__ import annotations

from gateway.read.late import late

#: what a gateway of the author's company puts before a subject: [EXTERNAL], {Spam?}, EXT:
TAG = late(r"^\s*(?:[\[{(<*]{1,3}[^\[\](){}<>*]{1,40}[\]}(*)>]{1,3}|(?i:ext|extern|external)\s*:)\s*")
#: somebody answers or passes on: what stands behind is not what this mail is
PASSED_ON = late(
    r"(?i)^\W{0,3}(?:re|aw|sv|antw|fwd?|wg|tr|rv|vs|rif|odp|pd|ynt|ilt|ref|res|enc|i|r|fs|отв|ответ|пересл|переслано"
    r"|на|відп)"
    r"(?:\s?\[\d+\])?\s?[:：]"
)
#: somebody passes on what he got: programs answer, they do not forward
FORWARDED = late(r"(?i)^\W{0,3}(?:fwd?|wg|tr|rv|pd|ilt|enc|fs|doorst|пересл|переслано)(?:\s?\[\d+\])?\s?[:：]")

# --------------------------------------------------------------------------- automatic replies

_RESPONDER = (
    r"auto(?:matic|mated|matically|m)?[ -_]?(?:generated[ -])?(?:e-?mail[ -])?(?:repl(?:y|ies)|respon[sd](?:e|er|es)"
    r"|answer)(?:[ -]message)?|"
    r"out[ -]of[ -](?:the[ -])?office(?:[ -](?:auto(?:matic)?[ -]?)?(?:reply|response|message|notification|notice"
    r"|assistant))?|"
    r"(?:vacation|absence|away|holiday)[ -](?:auto[ -]?)?(?:reply|message|response|notice|notification)|"
    r"auto(?:matische)?[ -]?antwort(?:[ -]e-?mail)?|automatische (?:e-?mail-?|rück)?(?:antwort|benachrichtigung"
    r"|abwesenheits\w+)|"
    r"abwesenheits(?:notiz|meldung|nachricht|benachrichtigung|info|agent)|urlaubs(?:notiz|meldung|benachrichtigung"
    r"|vertretung)|"
    r"réponse (?:automatique|d'absence)|(?:message|avis|notification|réponse) d.absence|absen(?:t|te|ce) du bureau"
    r"|message automatique|"
    r"respuesta automática|mensaje automático|aviso de ausencia|fuera de (?:la )?oficina|"
    r"risposta automatica|risposta non al computer|messaggio automatico|avviso di assenza|fuori (?:sede|ufficio)|"
    r"resposta automática|mensagem automática|"
    r"автоматический ответ|автоответ(?:чик)?|автоматична відповідь|автовідповід(?:ь|ач)|автоматичен отговор|"
    r"odpowiedź automatyczna|automatyczna odpowiedź|autoodpowiedź|poza biurem|"
    r"automatisch antwoord|automatische beantwoording|autosvar|automatiskt? svar|automaattinen vastaus|"
    r"automatická odpověď|automatická odpoveď|automatikus válasz|răspuns automat|otomatik (?:yanıt|cevap)|automatski "
    r"odgovor|"
    r"samodejni odgovor|automatinis atsakymas|automātiskā atbilde|automaatvastus|αυτόματη απάντηση|"
    r"自動応答|自動返信|自动(?:回复|答复)|自動回覆|자동 ?(?:회신|응답|답장)|رد تلقائي|תשובה אוטומטית"
)
#: a responder's own beginning of a subject: the words, then a colon, a bracket, a dash or the end
RESPONDER = late(rf"(?i)^\W{{0,4}}(?:{_RESPONDER})\s?(?:[:：\])]|[-–—]\s|$|(?=\b(?:re|aw|fwd?):))")
#: the same at its end, also where the subject is an answer's
RESPONDED = late(rf"(?i)[(\[](?:{_RESPONDER})[)\]]\s*$")
#: what a responder does, named by somebody
NAMES_RESPONDER = late(rf"(?i)(?:{_RESPONDER})")
#: what may be one, and may as well be a person's subject
PERHAPS_RESPONDER = late(
    rf"(?i)^\W{{0,4}}(?:{_RESPONDER}) (?:from|von|de|da|von|от|від|od)\b|"
    r"^\W{0,4}(?:auto(?:-?mail)?\s?[:：]|(?:i am |i'm |currently )?(?:away|on (?:vacation|holiday|leave)|out of "
    r"office)\b|vacation\b|ooo\b|"
    r"absence\b|abwesen(?:d|heit)\b|im urlaub\b|ich bin (?:nicht im büro|abwesend|im urlaub)|nicht im (?:büro|haus)\b"
    r"|urlaub\b|"
    r"absente?\b|en (?:congés?|vacances)\b|ausen(?:te|cia)\b|de vacaciones\b|assen(?:te|za)\b|in ferie\b|"
    r".{1,60} is (?:currently )?out of (?:the )?office\b|(?:я )?(?:в|у) (?:отпуск|відпуст)|отсутств|відсутн|nieobecn"
    r"|na urlopie|urlop\b|frånvaro|fravær|afwezig|semester\b|poissa\b|mimo kancelář|不在)"
)
#: who writes is away, said in the first person or of this very mailbox
AWAY = late(
    r"(?i)\b(?:(?:i am|i'm|i will be|i'll be|we are|he is|she is|will be|am) (?:\w+ ){0,3}?(?:out of (?:the |my "
    r")?office|away|on (?:\w+ )?(?:leave|vacation|holidays?|pto|trip)|"
    r"travell?ing|unavailable|absent|not in (?:the |my )?office)|out of (?:the |my )?office (?:until|from|till|between"
    r"|on|with)|(?:limited|no|intermittent) access to (?:my )?(?:e-?)?mail|"
    r"(?:will|shall) (?:be back|return|(?:reply|respond|answer)(?: to you)? (?:when|after|upon|as soon|on my))|"
    r"(?:bin|sind|ist|befinde mich) [^\n]{0,70}?(?:nicht im (?:büro|haus)|abwesend|im urlaub|außer haus|nicht "
    r"erreichbar|in elternzeit|reise|verreist|nicht verfügbar|krank)|"
    r"(?:erst )?wieder (?:im (?:büro|haus)|erreichbar|für sie da|persönlich)|während meiner abwesenheit|(?:e-?mail"
    r"|nachricht) wird nicht weitergeleitet|"
    r"(?:je suis|je serai|nous sommes|suis) [^\n]{0,50}?(?:absente?|en congés?|en vacances|en déplacement|hors du "
    r"bureau|indisponible)|(?:de retour|mon absence|mon retour)|"
    r"(?:estoy|estaré|me encuentro|estamos|estaremos) [^\n]{0,50}?(?:fuera de (?:la )?oficina|ausente|de vacaciones|de "
    r"viaje|de baja|de permiso)|mi (?:ausencia|regreso|vuelta)|"
    r"(?:sono|sarò|siamo|saremo) [^\n]{0,50}?(?:fuori (?:ufficio|sede)|assente|in ferie|in vacanza|in trasferta|in "
    r"viaggio)|(?:mio rientro|mia assenza)|"
    r"(?:estou|estarei) [^\n]{0,50}?(?:ausente|fora do escritório|de férias)|"
    r"(?:я|буду|нахожусь|сейчас|нахо[дж]\w+) [^\n]{0,50}?(?:в отпуск|отсутств|вне офиса|не в офисе|командировк"
    r"|больничн|недоступ)|(?:моего отсутствия|моём отсутствии)|(?:вернусь|отвечу) [^\n]{0,40}(?:после|когда|по "
    r"возвращении)|"
    r"(?:я|буду|перебуваю|зараз) [^\n]{0,50}?(?:у відпуст|відсутн|поза офісом|не в офісі|відрядженн|лікарнян)|моєї "
    r"відсутності|(?:повернуся|відповім) [^\n]{0,40}(?:після|коли)|"
    r"(?:jestem|będę|przebywam|jesteśmy) [^\n]{0,50}?(?:na urlopie|poza biurem|nieobecn|na zwolnieniu|w delegacji|w "
    r"podróży)|mojej nieobecności|"
    r"(?:ben|zal|ik) [^\n]{0,40}?(?:afwezig|niet aanwezig|niet op kantoor|(?:met|op) vakantie|buiten kantoor)|(?:är"
    r"|på) [^\n]{0,30}?(?:semester|frånvarande|tjänstledig)|"
    r"(?:er|på) [^\n]{0,30}?(?:ferie|ikke på kontoret|fraværende|bortreist)|(?:olen|olemme) [^\n]{0,30}?(?:lomalla"
    r"|poissa)|(?:jsem|budu|som) [^\n]{0,30}?(?:mimo kancelář|dovolen|nepřítom)|"
    r"(?:szabadságon|nem vagyok az irodában|távol vagyok)|(?:ofis dışında|izinde|izinli)y[iı]m"
    r"|(?:休暇|不在に|外出して))"
)
#: the mail says of itself that nobody wrote it
SAYS_AUTOMATIC = late(
    r"(?i)(?:this (?:is|was|e-?mail is|message is|reply is) (?:an? )?auto(?:matic|mated|matically|[- ])|(?:generated"
    r"|sent|created) automatically\b|auto(?:matically)?[- ]generated|"
    r"this is an? (?:auto|vacation|out[- ]of[- ]office)|do not (?:reply|respond) to this (?:e-?mail|message|mail)|"
    r"(?:dies|das|hierbei handelt es sich um|diese) (?:ist )?(?:eine? )?automatisch|automatisch (?:generiert|erstellt"
    r"|erzeugt|versendet|versandt)|antworten sie (?:bitte )?nicht auf diese|"
    r"(?:ceci est|il s.agit d)[^.\n]{0,30}automatique|(?:message|réponse|courriel|e-?mail) (?:généré|envoyé)e? "
    r"automatiquement|ne (?:pas répondre|répondez pas) à ce|"
    r"(?:est[ea] es|esto es)[^.\n]{0,30}automátic|(?:generad|enviad)[oa] automáticamente|no respond(?:a|er|as) a este|"
    r"(?:quest[oa] è)[^.\n]{0,30}automatic|(?:generat|inviat)[oa] (?:in modo )?automatic|(?:non rispond(?:ere|ete) a "
    r"quest)|"
    r"это (?:письмо |сообщение )?(?:— |- )?(?:было )?(?:автоматическ|автоответ|сформировано автоматически|отправлено "
    r"автоматически|создано автоматически)|(?:сформировано|отправлено|создано) автоматически|не отвечайте на это|"
    r"це (?:лист |повідомлення )?(?:— |- )?(?:автоматичн|автовідповід)|(?:сформовано|надіслано|створено) автоматично"
    r"|не відповідайте на це|"
    r"(?:to jest|jest to)[^.\n]{0,30}automatyczn|wygenerowan\w+ automatycznie|(?:nie odpowiada(?:ć|j|jcie)|prosimy nie "
    r"odpowiadać) na (?:tę|ten|to)|"
    r"dit is een automatisch|esta é uma [^.\n]{0,20}automática|detta är ett automatiskt|dette er en? automatisk|toto "
    r"je automatick|bu otomatik|自動的?に?(?:送信|返信)|系统自动)"
)

#: quick: one of these is in whatever ``SAYS_AUTOMATIC`` finds
AUTOMATIC_SIGNS = tuple(
    "auto otomat авто 自動 自动 reply respond vacation office antworten répond rispond отвеча ответ відпов "
    "odpowiad".split()
)

# --------------------------------------------------------------------------- people who want something

#: a trouble or a wish that only people have, and no notice of absence
WANTS = late(
    r"(?i)(?:\b(?:does|do|did|is|are|was|were|has|have|can)(?:n.t| not) (?:\w+ )?(?:work\w*|send|sent|sending|arriv\w+"
    r"|go out|function\w*|trigger\w*|activat\w+)\b|not working|stopped|\bbroken\b|(?:is|are) wrong|"
    r"please (?:\w+ )?(?:help|check|fix|repair|switch|turn|disable|enable|activate|deactivate|tell|look|remove|change"
    r"|explain|advise|investigate|unblock|delist|set|restore|stop|whitelist|add|cancel|delete)\b|"
    r"\b(?:can|could|would|will) you\b|\bhow (?:do|can|to|should)\b|\bwhy (?:do|does|is|are|did|was)\b|\bwhat (?:do"
    r"|does|is|can|should|must)\b|"
    r"funktionier\w* [^.\n]{0,20}nicht|nicht funktionier|(?:geht|gehen|läuft|laufen) [^.\n]{0,30}nicht|(?:wird|werden"
    r"|kommt|kommen) [^.\n]{0,40}(?:nicht (?:ver|ge|zugestellt|an\b|aus)|abgewiesen|abgelehnt|blockiert)|"
    r"bitte [^.\n]{0,30}?(?:helf|hilfe|prüf|schau|schalt|deaktivier|aktivier|beheb|repar|einricht|entfern|änder|lösch"
    r"|freischalt|nachseh|anseh)|\b(?:können|könnten|würden) sie (?:bitte|das|den|uns (?:bitte|helf)|mir (?:bitte|helf"
    r"|sag)|prüf|nachs)|"
    r"\bwie (?:kann ich|richte|stelle|können wir|schalte)|\b(?:warum|weshalb|wieso)\b|"
    r"ne (?:fonctionne|marche|part|s.envoie|répond|s.active) (?:pas|plus)|merci de (?:votre aide|m.aider|nous aider"
    r"|vérifier|corriger|désactiver|activer|regarder|supprimer)|(?:pouvez|pourriez)-vous (?:\w+ )?(?:aider|vérifier"
    r"|regarder|désactiver|activer|dire|corriger|supprimer)|"
    r"\bcomment (?:puis|faire|peut|désactiver|activer|configurer)|\bpourquoi\b|aidez|"
    r"no (?:funciona|se env|llega|sale)|(?:pueden|podrían|puede|podría) (?:\w+ )?(?:ayudar|revisar|verificar|mirar"
    r"|desactivar|activar|comprobar|decir)|\b(?:cómo (?:puedo|se|podemos|desactiv|configur)|por qué)\b|ayúd|necesit\w+ "
    r"ayuda|"
    r"non (?:funziona|viene inviat|vengono inviat|parte|arriva|si attiva)|(?:potete|potreste) (?:\w+ )?(?:aiutar"
    r"|verificar|controllar|disattivar|attivar|dir|guardar|risolver)|\bcome (?:posso|si fa|faccio|possiamo|disattiv)"
    r"|\bperché (?:non|il|la|i|le)\b|aiut(?:o|ateci|atemi)|"
    r"не (?:работает|отправля\w+тся|приходит|отвечает|уходит|доход|включается)|помогите|подскажите|проверьте|можете "
    r"(?:помочь|проверить|подсказать|отключить|исправить)|\bпочему\b|\bкак (?:настро|отключ|включ|исправ|убра)|"
    r"не (?:працює|надсила\w+ться|приход|відповідає|надход|вмикається)|допоможіть|підкажіть|перевірте|можете "
    r"(?:допомогти|перевірити|підказати|вимкнути|виправити)|\bчому\b|\bяк (?:налашт|вимкн|увімк|виправ)|"
    r"nie (?:działa|wysyła|przychod|odpowiada\b|dociera|wychod)|(?:proszę|prosimy) o (?:pomoc|sprawdz|wyłącz|włącz"
    r"|napraw|usuni)|pomóż|czy (?:mog\w+|może\w*) (?:\w+ )?(?:pomóc|sprawdzić|wyłączyć|naprawić)|\bjak (?:ustaw|wyłącz"
    r"|włącz|napraw)|\bdlaczego\b|"
    r"werkt niet|kunnen jullie|não (?:funciona|chega)|fungerar inte|nefunguje|çalışmıyor)"
)
#: what the desk sells and bills: who speaks of it does not only say that he is away
TRADE = late(
    r"(?i)(?:#\d{5,}|\b(?:server|serv[ei]\w*r\w*|vps|host(?:ing|er|s)?|domain\w*|webs(?:ite|hop)|mailbox|autoresponder"
    r"|disks?|festplatte\w*|backup|dns|ip|renewal|migration|invoice|rechnung\w*|bestell\w*|auftrag\w*|"
    r"factur\w*|fattur\w*|commande\w*|pedido\w*|ordin[ei]|order|rinnovo|dominio|domaine|сервер\w*|домен\w*|хостинг\w*"
    r"|сч[её]т\w*|заказ\w*|рахун\w*|замовлен\w*|faktur\w*|zamówieni\w*|serwer\w*|domen\w*)\b)"
)
#: who asks for help
HELP = late(
    r"(?i)\b(?:help|hilfe|helfen|aide[rz]?|aidez|ayud\w+|aiut\w+|помо[гщж]\w*|допомо\w+|pomoc\w*|pomóż|why|warum"
    r"|pourquoi|por qué|perché|почему|чому|dlaczego)\b"
)
#: what is the writer's own, and what happens to him
OURS = late(
    r"(?i)(?:\b(?:my|our) (?:\w+ )?(?:server|vps|mail ?server|website|site|domain|mailbox|customers?|clients?"
    r"|newsletter|ip|host|account|shop|users?|colleagues?|provider|mails?|e-?mails?|messages?|orders?|payment)\b|"
    r"\b(?:we|i) (?:\w+ )?(?:get|got|getting|receive|received|see|have|need|want|cannot|can.t|tried|send|sent|think"
    r"|guess|believe|suppose)\b|\byours\b|\byour (?:mx|side|server|billing|department|colleague)\b|because of this|"
    r"\bunsere?[mnrs]? \w|\b(?:wir|ich) (?:\w+ )?(?:bekomm|erhalt|hab|kann|können|seh|brauch|möchte|versuch)"
    r"|\b(?:bekomme|erhalte|habe|kann) ich\b|(?:kommen|kommt) [^.\n]{0,40}zurück|"
    r"\b(?:notre|nos) \w|\b(?:nous|je|j.) ?(?:recev|reçoi|av|ai |ne|essa)|\bnuestr[oa]s? \w|\b(?:recibimos|recibo"
    r"|tenemos|tengo|necesit)|\bnostr[oaie] \w|\b(?:riceviamo|ricevo|abbiamo|riesco)|"
    r"\bнаш\w* \w|\b(?:у нас|у меня|мы |получаем|получаю|нужно)|\b(?:у нас|у мене|ми |отримуємо|отримую|потрібно)"
    r"|\bnasz\w* \w|\b(?:dostajemy|dostaję|otrzymujemy|otrzymuję|mamy|potrzebuj)|\bonze? \w|\bnoss[oa]s? \w)"
)

# --------------------------------------------------------------------------- bounces

#: a bounce's subject, wherever it stands in it
BOUNCED = late(
    r"(?i)(?:undeliver|un-deliver|deliver\w*\b.{0,40}?(?:fail|problem|error|status|notif|report|warning|delay"
    r"|impossible|unsuccess|refused)|(?:fail|problem|error|could not|couldn.t|unable|cannot|can.t|not"
    r"|un).{0,30}?deliver|"
    r"return(?:ed|ing)?\b.{0,20}?(?:mail|message|e-?mail|sender)|mail (?:system )?(?:error|status|failed|failure"
    r"|warning)|failed mail|failure (?:notice|notification)|message (?:status|delayed|refused|rejected|blocked|not "
    r"sent)|\bbounced?\b|non[- _]?(?:deliver|remis|recapit|delivery)|"
    r"\bndn?r?:|\brejected:|user unknown|unknown user|delayed mail|could not send|error sending|problems? sending"
    r"|processing error|mailbox full|quota exceeded|address (?:changed|not found|rejected)|not a? ?member|message you "
    r"sent|quarantin|spam.{0,20}reject|reject.{0,20}(?:mail|message)|bulk email filter|"
    r"unzustellbar|zustell\w*\b.{0,30}(?:fehl|nicht|problem|status|verzöger)|nicht (?:zugestellt|zustellbar"
    r"|übermittelt)|zustellbenachrichtigung|rückläufer|"
    r"échec.{0,20}(?:remise|livraison|envoi|distribution|délivr|delivery)|notification d.échec|non (?:distribu|délivr)"
    r"|impossible de (?:remettre|délivrer|distribuer)|retourn\w+ à l.(?:expéditeur|envoyeur)|"
    r"(?:no|error|fall[oa]|problema).{0,30}entrega|devuelto|no se pudo|(?:mancat|errore|impossibile"
    r"|non).{0,25}(?:recapit|consegn)|notifica (?:di )?(?:mancat|stato)|falha na entrega|não.{0,15}entreg|"
    r"не\s?доставлен|недостав|(?:ошибк|сбо|статус|отч[её]т|невозможн).{0,20}достав|не удалось достав|возвращ|отложено"
    r"|(?:помилк|не вдал|неможлив|звіт).{0,25}достав|не було достав|"
    r"nie\s?dostarcz|(?:błąd|problem|niepowodzenie).{0,20}dostarcz|nie można.{0,20}(?:dostarcz|doręcz)|zwrot|"
    r"onbestelbaar|niet (?:bezorgd|afgeleverd)|ikke.{0,12}lever|inte.{0,12}lever|kézbesít|nedoruč|teslim edilem|nelivr"
    r"|ei voitu toimittaa|"
    r"配信(?:不能|失敗|できま)|配達(?:不能|できま)|送信(?:でき|失敗|エラー)|(?:邮件|郵件|传输|傳送|投递|退信|系统退信).{0,10}(?:失败|失敗|退|无法)|退信"
    r"|전송 ?(?:실패|불가)"
    r"|전달.{0,6}(?:실패|불가|못))"
)
#: how mail programs speak in the first lines of a report
REPORTS = late(
    r"(?i)(?:this is (?:the|a|an) .{0,60}(?:mail system|qmail|mail agent|mailer-daemon|mail server|mail delivery"
    r"|delivery status|delivery report|mail transfer|postfix|program)|"
    r"(?:message|mail|report|e-?mail|notification) (?:was |is |has been )?(?:created|generated|sent|produced) "
    r"(?:automatically|by)|automatically[- ]generated|automated (?:response|message|notification)|advisory-only|"
    r"transcript of session|(?:permanent|transient) (?:non-)?(?:fatal )?errors?|had delivery problems|(?:unsent"
    r"|undelivered|returned|non-delivered|undeliverable) (?:message|mail|information)|below this line is a copy|(?:is "
    r"a|your) copy of (?:the|your) (?:original )?message|"
    r"original (?:message|mail)(?: headers?| body)? (?:follows?|is following|as follows|is attached)|message headers? "
    r"follows?|header of the original|failed (?:address|recipient)|failure reasons|message generated|error (?:message "
    r")?below|message details:|delays in delivering|"
    r"non-?delivery (?:report|notification)|no message was collected|intended recipient|reporting-mta|final-recipient"
    r"|diagnostic[- ]code|remote (?:host|server) (?:said|responded|returned)|smtp error from remote|technical "
    r"(?:details|report)|message from .{0,60}(?:security|mail|gateway)|"
    r"(?:the )?(?:following|these|each of the following) (?:\w+ ){0,2}(?:message|mail|e-?mail|address|recipient|user"
    r"|person|destination|error)|"
    r"\byour (?:message|mail|e-?mail|letter|posting|article)s?\b[^?]{0,200}?(?:could ?n[o']t|was ?n[o']t|has ?n[o']t"
    r"|cannot|can.t|did ?n[o']t|not|failed|fail to|undeliver|reject|block|return|delay|refus|quarantin|discard|being "
    r"held|bounc|postponed|too (?:large|big))|"
    r"(?:message|mail|e-?mail|it) (?:\S+ ){0,5}(?:could not|couldn.t|was not|cannot|has not been|can not) (?:\w+ "
    r")?(?:be )?(?:deliver|sent|transmitted|accepted|processed|relayed)|could not be delivered|(?:was|were) (?:un|not "
    r")deliver|unable to (?:deliver|reach|find|complete|relay)|undeliverable|(?:did not|didn.t) reach|couldn.t (?:be "
    r"delivered|deliver|find)|"
    r"delivery (?:to|of|attempts?|has|is|was|failed|failure|status|error)\b|(?:error|problem)s? (?:\w+ )?(?:occurred"
    r"|while|during|when) .{0,30}(?:deliver|send|mail)|trouble delivering|(?:i'?m|we'?re|i am|we are) (?:afraid|sorry)"
    r"|sorry,|not (?:a )?member|has detected a loop|loop (?:alert|back|condition)|has been (?:rejected|blocked|refused"
    r"|quarantined|postponed)|user unknown|unknown (?:user|recipient|host)|no such (?:user|mailbox|address)|invalid "
    r".{0,30}(?:user|recipient|address|mailbox)|report relates to|addressee unknown|generated (?:the )?following "
    r"response|mailbox (?:is )?(?:full|unavailable|not found)|over quota|"
    r"(?:ihre?|die|der|eine|folgende) (?:\S+ ){0,3}(?:nachricht|mail|e-?mail|email)\b.{0,80}?(?:nicht|unzustellbar"
    r"|abgelehnt|abgewiesen|zurück|verzögert|fehlgeschlagen)|zustellung .{0,60}(?:nicht|fehlgeschlagen|verzögert"
    r"|gescheitert)|(?:folgende|diese)n? empfänger|automatisch (?:generiert|erstellt|erzeugt)|"
    r"(?:votre|le) (?:message|courriel|e-?mail)\b.{0,80}?(?:pas|échou|rejet|refus|retard|n.a)|n.a p(?:u|as pu) être "
    r"(?:livr|remis|distribu|délivr)|(?:échec|remise|livraison|distribution) (?:de |du |d.|a ).{0,60}|destinataires? "
    r"suivant|"
    r"(?:su|tu|el|este) (?:mensaje|correo)\b.{0,80}?(?:no|rechazad|devuelt|retras)|no (?:se )?(?:ha |pudo "
    r")?.{0,20}entreg|(?:siguiente|destinatario)s? .{0,30}|"
    r"(?:il|suo|tuo|questo) (?:messaggio|e-?mail)\b.{0,80}?(?:non|rifiutat|respint|ritard)|impossibile (?:recapitare"
    r"|consegnare)|seguenti? destinatar|"
    r"(?:ваше?|это|следующ\w+|данное) (?:сообщени|письм)\w*.{0,80}?(?:не |отклон|возвращ|задерж)|не (?:было |может "
    r"быть |удалось )?достав|следующ\w+ (?:адрес|получател)|создано автоматически|"
    r"(?:ваше?|це|наступн\w+) (?:повідомленн|лист)\w*.{0,80}?(?:не |відхил|поверн)|не (?:було |вдалося |може бути "
    r")?достав|"
    r"(?:twoja|ta|państwa|pana|następująca) wiadomość.{0,80}?(?:nie|odrzucon|zwrócon|opóźnion)|nie (?:można|udało się"
    r"|została|mogła).{0,30}(?:dostarcz|doręcz)|następując\w+ (?:adres|odbiorc)|"
    r"uw (?:bericht|e-?mail).{0,60}niet|não pôde ser entregue|kunde inte levereras|kunne ikke leveres|nelze doručit"
    r"|teslim edilemedi|配信できません|配信不能|无法(?:投递|送达)|退信)"
)
#: an address with what a server said of it, as programs write them; pieces of a report
EXCHANGE = late(
    r"(?im)(?:^[ \t]{0,8}<?[^\s<>@:]{1,64}@[^\s<>:]{1,255}>?[ \t]{0,4}(?:[:;.…(]|\r?$)|^[ \t]{0,8}(?:rcpt to|mail from"
    r"|final-recipient|original-recipient|diagnostic-code|reporting-mta|action|status|remote-mta)[ \t]?:|"
    r"\b(?:user|recipient|address|mailbox)(?:\w{1,3}|\(s\))?[ \t]?: ?<?[^\s<>@]{1,64}@|to: ?<[^<>\s]+@[^<>\s]+>"
    r"|\b(?:on|to|for) <[^<>\s]+@[^<>\s]+>)"
)
#: what a server said
CODE = late(r"(?m)(?:\bsaid:? [245]\d\d\b|^[ \t<>]{0,6}[45]\d\d[ -]|\b[45]\.\d{1,2}\.\d{1,3}\b)")
#: a field of a header, as it stands in a returned mail's
RETURNED = late(
    r"(?m)^[ \t]{0,4}(?:Received|Message-I[dD]|From|To|Subject|Date|Return-[pP]ath|MIME-Version|Content-Type"
    r"|X-[\w-]+): ?\S"
)
#: a challenge: the sender is asked to prove himself before his mail is let through
CHALLENGE = late(
    r"(?is)(?:click|follow|visit|reply)[^.]{0,160}\b(?:your (?:e-?mail )?address|the sender|your message)\b[^.]{0,60}"
    r"\b(?:added|approved|allowed|verified|released|whitelisted)\b"
)
CHALLENGED = (
    "added",
    "approved",
    "allowed",
    "verified",
    "released",
    "whitelisted",
)  #: cheap: without one there is none
#: a report about mail that somebody else complains of, in its first lines
COMPLAINT = late(
    r"(?i)this is an? (?:auto\w*[- ])?(?:e-?mail )?(?:abuse|spam|spf\S*|dkim\S*|dmarc\S*|authentication[- ]failure"
    r"|authentication|feedback)\b.{0,40}\b(?:report|complaint)\b.{0,40}(?:for|of|about|from|regarding|received)"
)
